#include "support/start.h"

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <cstdlib>

#include "support/results.h"

namespace benchmarks {

void start_or_exit(int argc, char** argv, const std::vector<std::string>& defaults) {
  torch::set_num_threads(1);
  torch::manual_seed(0);
  std::vector<std::string> flags = defaults;
  flags.insert(flags.end(), argv + 1, argv + argc);
  std::vector<char*> pointers = {argv[0]};  // which Google Benchmark keeps
  for (auto& flag : flags) pointers.push_back(flag.data());
  int count = static_cast<int>(pointers.size());
  const auto origin = provenance();
  for (const auto& [name, value] : origin.items()) {
    benchmark::AddCustomContext(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) std::exit(EXIT_FAILURE);
}

void run_benchmarks_or_exit(benchmark::BenchmarkReporter* reporter) {
  const size_t count = reporter != nullptr ? benchmark::RunSpecifiedBenchmarks(reporter)
                                           : benchmark::RunSpecifiedBenchmarks();
  if (count == 0) std::exit(EXIT_FAILURE);
}

}  // namespace benchmarks
