#pragma once

#include "configuration/settings.h"

#include <torch/optim/optimizer.h>

#include <memory>
#include <vector>

namespace natgrad::detail {

using Groups = std::vector<torch::optim::OptimizerParamGroup>;
/// An optimizer that its options have been read for, and that its parameters make.
using OptimizerOf = std::function<std::unique_ptr<torch::optim::Optimizer>(const Groups& groups)>;

/// LibTorch's own optimizers: "adam", "sgd", ...
const Makers<OptimizerOf>& libtorch_optimizer_makers();

}  // namespace natgrad::detail
