#pragma once

#include <functional>

#include "support/task.h"
#include "support/training_curve.h"

namespace examples {

/// What a method trains. The network itself is held by the functions.
struct Model {
  std::vector<torch::Tensor> parameters;
  std::function<torch::Tensor(const Batch& batch)> loss;  // the mean over the batch
  std::function<torch::Tensor(const Batch& batch)> hits;  // bool: which examples it gets right
};

/// One step of training on a batch; what it has to tell goes into the epoch's record.
using Step = std::function<void(const Batch& batch, EpochRecord& record)>;

/// Takes `step` on all batches of all epochs, the same for every method, and prints a line an
/// epoch.
TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    const Step& step);

/// The training that natgrad's is compared with.
TrainingCurve train_with_adam(const Task& task, const Model& model, double lr);

/// Adam's rates: its default, and larger ones.
inline const std::vector<double> kAdamRates{1e-3, 3e-3, 1e-2};

}  // namespace examples
