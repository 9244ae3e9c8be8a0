#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <vector>

namespace natgrad::detail {

/// Whether some norm among these nodes is zero, where it has a kink. LibTorch takes 0 for its
/// gradient there, and NaN for that gradient's own derivative.
bool has_norm_at_zero(const std::vector<torch::autograd::Node*>& nodes);

/// From now on the divisions among these nodes, in which the gradient of a norm was formed, pass 0
/// on where they would pass NaN: a norm at zero then has no curvature.
void flatten_kinks(const std::vector<torch::autograd::Node*>& nodes);

}  // namespace natgrad::detail
