#pragma once

#include <natgrad/optim/step_summary.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace examples {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Where training stands after so many epochs; 0 is the start.
struct TrainingRecord {
  double epochs = 0;
  double training_loss = kUnknown;  // of the whole training set
  double held_out_loss = kUnknown;
  double held_out_share = kUnknown;  // of the held-out examples, in [0, 1]: `Task::share`
  double seconds = 0;                // of training so far, evaluation excluded

  // What only the natural gradient has to tell, since the record before.
  double lambda = kUnknown;  // of the last step
  int64_t iterations = 0;    // in all steps
  int64_t natural_steps = 0;
  int64_t refused_steps = 0;

  /// Adds what a natural-gradient step has to tell.
  void add(const natgrad::StepSummary& summary);
};

struct TrainingCurve {
  std::string method;
  std::vector<TrainingRecord> records;

  /// The largest training loss in any record; the start's not included.
  double worst_loss() const;
};

/// "epoch    3  loss 0.0123    accuracy  97.8%  lambda 0.0131  iterations 10.0  0.21 s", where
/// `share` is "accuracy".
void print_progress(const TrainingRecord& record, const std::string& share);

}  // namespace examples
