#pragma once

#include <vector>

#include "support/training.h"

namespace benchmarks {

constexpr int64_t kJudgedExamples = 20'000;  ///< by which a training loss is told, at most
constexpr int64_t kWatchedExamples = 2'000;  ///< the same, while training

/// Where a course of training ended.
struct Run {
  double loss = 0, held_out = 0;
  double seconds = 0, epochs = 0;
  double highest = 0;  ///< of the losses looked at on the way, over the start's; 0: none was
};

/// Looks at the loss every `watch` steps, which is not on the clock; never for 0.
Run train_for_epochs(const Start& start, const Method& method, int64_t epochs, int64_t watch = 0);

/// Stops at the first step with which it has had that many seconds.
Run train_for_seconds(const Start& start, const Method& method, double seconds);

/// One run for each seed.
using Runs = std::vector<Run>;

double mean(const Runs& runs, double Run::*value);
double largest(const Runs& runs, double Run::*value);
/// The geometric mean of the losses; those below `floor` count as that.
double mean_loss(const Runs& runs, double floor = 0);

/// Of several methods' runs, those that end lowest.
size_t lowest(const std::vector<Runs>& of_methods);

/// Below it, losses count as equal.
constexpr double kSmallLoss = 1e-3;

/// One mean loss over another's; both at least `kSmallLoss`.
double loss_ratio(const Runs& runs, const Runs& others);

}  // namespace benchmarks
