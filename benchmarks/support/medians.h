#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace benchmarks {

double median(std::vector<double> values);

/// The counter that says how many of what is asked for one timed round held; 1 without it.
inline constexpr const char* kParts = "parts";

/// Keeps the medians of CPU times; on one thread, other programs do not count in them.
class Medians final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override;

  /// CPU time of one part of a round, in the benchmark's unit. Throws `std::runtime_error` if there
  /// is none of that name.
  double operator[](const std::string& name) const;
  bool empty() const { return times_.empty(); }

 private:
  std::map<std::string, double> times_;
};

}  // namespace benchmarks
