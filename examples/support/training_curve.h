#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace examples {

/// Where training stands after an epoch; epoch 0 is the start.
struct EpochRecord {
  int64_t epoch = 0;
  double training_loss = std::numeric_limits<double>::quiet_NaN();  // of the whole training set
  double accuracy =
      std::numeric_limits<double>::quiet_NaN();  // on the held-out examples, in [0, 1]
  double seconds = 0;                            // of training so far, evaluation excluded

  // What only the natural gradient has to tell, of this epoch.
  double lambda = std::numeric_limits<double>::quiet_NaN();  // of the last step
  int64_t cg_iterations = 0;                                 // in all steps
  int64_t natural_steps = 0;
  int64_t refused_steps = 0;
};

struct TrainingCurve {
  std::string method;
  std::vector<EpochRecord> epochs;

  /// The largest training loss after any epoch; the start's not included.
  double worst_loss() const;
};

/// "epoch  3  loss 0.0123  accuracy 97.8%  lambda 0.0131  CG 10.0  0.21 s"
void print_progress(const EpochRecord& record);

}  // namespace examples
