#pragma once

#include <string>
#include <vector>

namespace benchmark {
class BenchmarkReporter;
}

namespace benchmarks {

/// Starts Google Benchmark on one thread from one seed, with `defaults` before the command line's
/// own flags. Ends the program if that has a flag it does not know, or a value it cannot read,
/// having said so. With `json` there is a flag of ours too, `--json FILE`.
void start_or_exit(int argc, char** argv, const std::vector<std::string>& defaults,
                   std::string* json = nullptr);

/// Runs what was registered, reported by `reporter` where one is given. Ends the program if the
/// command line's filter leaves nothing: Google Benchmark has said so.
void run_benchmarks_or_exit(benchmark::BenchmarkReporter* reporter = nullptr);

}  // namespace benchmarks
