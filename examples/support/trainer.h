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

/// One step of training on a batch; what it has to tell goes into the record.
using Step = std::function<void(const Batch& batch, TrainingRecord& record)>;

/// Takes `step` on the batches of all epochs, the same for every method, and prints a line an
/// epoch, or more if they are few.
TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    const Step& step);

/// Appends what the first curve, natgrad's, is compared with: Adam at each of its rates, from the
/// same start and on the same batches, for as many seconds of training.
void add_adam(std::vector<TrainingCurve>& curves, const Task& task,
              const std::function<Model()>& make_model);

/// Adam's rates: half decades around its default, 1e-3.
inline const std::vector<double> kAdamRates{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1};

}  // namespace examples
