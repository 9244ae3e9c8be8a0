#pragma once

#include <string>
#include <vector>

namespace benchmarks {

/// Starts Google Benchmark on one thread from one seed, with `defaults` before the command line's
/// own flags. False if that has a flag it does not know: it has said so.
bool start(int argc, char** argv, const std::vector<std::string>& defaults);

}  // namespace benchmarks
