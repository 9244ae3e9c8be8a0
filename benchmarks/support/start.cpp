#include "support/start.h"

#include <benchmark/benchmark.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>

#include "support/results.h"

namespace benchmarks {

namespace {

/// The value of `--json FILE`, which is taken out of the flags: Google Benchmark does not know it.
std::string take_json(std::vector<std::string>& flags) {
  const auto flag = std::find(flags.begin(), flags.end(), "--json");
  if (flag == flags.end() || flag + 1 == flags.end()) return "";
  std::string file = *(flag + 1);
  flags.erase(flag, flag + 2);
  return file;
}

}  // namespace

void start_or_exit(int argc, char** argv, const std::vector<std::string>& defaults,
                   std::string* json) {
  torch::set_num_threads(1);
  torch::manual_seed(0);
  std::vector<std::string> flags = defaults;
  flags.insert(flags.end(), argv + 1, argv + argc);
  if (json != nullptr) *json = take_json(flags);
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
