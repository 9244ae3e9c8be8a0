#include "support/medians.h"

#include <algorithm>
#include <stdexcept>

namespace benchmarks {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void Medians::ReportRuns(const std::vector<Run>& runs) {
  for (const auto& run : runs) {
    if (run.aggregate_name != "median") continue;
    const auto found = run.counters.find(kParts);
    const double parts = found == run.counters.end() ? 1 : found->second.value;
    times_[run.run_name.function_name] = run.GetAdjustedCPUTime() / parts;
  }
}

double Medians::operator[](const std::string& name) const {
  const auto found = times_.find(name);
  if (found != times_.end()) return found->second;
  throw std::runtime_error("'" + name +
                           "' was not run, which the table needs; widen "
                           "--benchmark_filter, or --benchmark_list_tests lists them.");
}

}  // namespace benchmarks
