#include "support/runs.h"

#include <algorithm>
#include <cmath>

namespace benchmarks {
namespace {

Run end_of(Training& training) {
  return {training.training_loss(kJudgedExamples), training.held_out(), training.seconds(),
          training.epochs()};
}

}  // namespace

Run train_for_epochs(const Start& start, const Method& method, int64_t epochs, int64_t watch) {
  Training training(start, method);
  const double first = watch > 0 ? training.training_loss(kWatchedExamples) : 0;
  double highest = 0;
  const int64_t steps = epochs * start.steps_per_epoch();
  while (training.steps() < steps) {
    training.step();
    if (watch > 0 && training.steps() % watch == 0) {
      highest = std::max(highest, training.training_loss(kWatchedExamples));
    }
  }
  auto run = end_of(training);
  if (watch > 0) run.highest = highest / first;
  return run;
}

Run train_for_seconds(const Start& start, const Method& method, double seconds) {
  Training training(start, method);
  while (training.seconds() < seconds) training.step();
  return end_of(training);
}

double mean(const Runs& runs, double Run::*value) {
  double sum = 0;
  for (const auto& run : runs) sum += run.*value;
  return sum / static_cast<double>(runs.size());
}

double largest(const Runs& runs, double Run::*value) {
  double most = runs.front().*value;
  for (const auto& run : runs) most = std::max(most, run.*value);
  return most;
}

double mean_loss(const Runs& runs, double floor) {
  constexpr double kSmallest = 1e-12;  // a float32 loss can be exactly 0
  double sum = 0;
  for (const auto& run : runs) sum += std::log(std::max({run.loss, floor, kSmallest}));
  return std::exp(sum / static_cast<double>(runs.size()));
}

size_t lowest(const std::vector<Runs>& of_methods) {
  size_t best = 0;
  for (size_t k = 1; k < of_methods.size(); ++k) {
    if (mean_loss(of_methods[k]) < mean_loss(of_methods[best])) best = k;
  }
  return best;
}

double loss_ratio(const Runs& runs, const Runs& others) {
  return mean_loss(runs, kSmallLoss) / mean_loss(others, kSmallLoss);
}

}  // namespace benchmarks
