#pragma once

#include <natgrad/optim/natural_gradient.h>

#include <functional>

#include "support/course.h"
#include "support/task.h"
#include "support/training_curve.h"

namespace examples {

/// Takes `step`, which has the optimizer step, on the batches of all epochs, the same for every
/// method, and prints a line an epoch, or more if they are few.
///
/// Ctrl-C ends it, by `Interrupted`, with all that was done in `task.checkpoint()`; with the option
/// `resume` it begins there, and its curve is that of the run without a stop, apart from seconds.
/// The checkpoint stays when training is complete, for what follows, until `remove_checkpoint`.
TrainingCurve train(const Task& task, const std::string& method, const Model& model,
                    natgrad::NaturalGradient& optimizer, const Step& step);

/// Appends what the first curve, natgrad's, is compared with: Adam at each of its rates, from the
/// same start and on the same batches, for as many seconds of training.
void add_adam(std::vector<TrainingCurve>& curves, const Task& task,
              const std::function<Model()>& make_model);

/// Adam's rates: half decades around its default, 1e-3.
inline const std::vector<double> kAdamRates{1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1};

}  // namespace examples
