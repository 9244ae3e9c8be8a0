#include "support/start.h"

#include <benchmark/benchmark.h>
#include <torch/torch.h>

namespace benchmarks {

bool start(int argc, char** argv, const std::vector<std::string>& defaults) {
  torch::set_num_threads(1);
  torch::manual_seed(0);
  std::vector<std::string> flags = defaults;
  flags.insert(flags.end(), argv + 1, argv + argc);
  std::vector<char*> pointers = {argv[0]};  // which Google Benchmark keeps
  for (auto& flag : flags) pointers.push_back(flag.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  return !benchmark::ReportUnrecognizedArguments(count, pointers.data());
}

}  // namespace benchmarks
