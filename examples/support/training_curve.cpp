#include "support/training_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <cstdio>

namespace examples {
namespace {

std::string natural_gradient_details(const TrainingRecord& record) {
  if (record.natural_steps == 0) return "";
  const double iterations = static_cast<double>(record.iterations) / record.natural_steps;
  auto details = fmt::format("  lambda {:<8.3g}  iterations {:4.1f}", record.lambda, iterations);
  if (record.refused_steps > 0) details += fmt::format("  refused {}", record.refused_steps);
  return details;
}

}  // namespace

void TrainingRecord::add(const natgrad::StepSummary& summary) {
  lambda = summary.lambda;
  iterations += summary.solver.iterations;
  natural_steps += 1;
  refused_steps += summary.outcome != natgrad::StepOutcome::Accepted;
}

double TrainingCurve::worst_loss() const {
  double worst = records.back().training_loss;
  for (size_t i = 1; i < records.size(); ++i) {
    const double loss = records[i].training_loss;
    if (std::isnan(loss)) return loss;  // worse than any other
    worst = std::max(worst, loss);
  }
  return worst;
}

void print_progress(const TrainingRecord& record, const std::string& share) {
  fmt::print("epoch {:4.3g}  loss {:<8.3g}  {} {:5.1f}%{}  {:6.2f} s\n", record.epochs,
             record.training_loss, share, 100 * record.held_out_share,
             natural_gradient_details(record), record.seconds);
  std::fflush(stdout);  // progress, also through a pipe
}

}  // namespace examples
