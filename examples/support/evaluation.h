#pragma once

#include <functional>

#include "support/dataset.h"

namespace examples {

/// The mean over all examples of `measure`, which takes a batch and returns a value for each of its
/// examples or their mean. Without gradients, some thousand examples at a time.
double mean_over(const Batch& examples, const std::function<torch::Tensor(const Batch&)>& measure);

}  // namespace examples
