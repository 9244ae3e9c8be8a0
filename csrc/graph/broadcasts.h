#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <vector>

namespace natgrad::detail {

// Of [N] against [N, 1] LibTorch makes [N, N], and every output meets every target: a slip that
// trains another model without a word. Both throw `c10::ValueError`.

/// Refuses such a difference of z, of which `result` is the shape, and a constant.
void check_no_outer_difference(const torch::autograd::Edge& z, torch::IntArrayRef result);
/// The same of the products with constants among the nodes, as in softplus(z) - y z.
void check_no_outer_products(const std::vector<torch::autograd::Node*>& nodes);

}  // namespace natgrad::detail
