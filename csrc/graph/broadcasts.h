#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <vector>

namespace natgrad::detail {

// Of [N] against [N, 1] LibTorch makes [N, N], and every output meets every target: a slip that
// trains another model without a word.

/// Throws `UnreadableLoss` for what may be such a difference of z and a constant, of which `result`
/// is the shape. A difference does not keep the constant, which may be [N, N] itself.
void check_no_outer_difference(const torch::autograd::Edge& z, torch::IntArrayRef result);
/// Throws `c10::ValueError` for such a product with a constant among the nodes, as in
/// softplus(z) - y z.
void check_no_outer_products(const std::vector<torch::autograd::Node*>& nodes);

}  // namespace natgrad::detail
