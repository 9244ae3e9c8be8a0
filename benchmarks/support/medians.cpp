#include "support/medians.h"

namespace benchmarks {

void Medians::ReportRuns(const std::vector<Run>& runs) {
  for (const auto& run : runs) {
    if (run.aggregate_name != "median") continue;
    const auto found = run.counters.find(kParts);
    const double parts = found == run.counters.end() ? 1 : found->second.value;
    times_[run.run_name.function_name] = run.GetAdjustedCPUTime() / parts;
  }
}

}  // namespace benchmarks
