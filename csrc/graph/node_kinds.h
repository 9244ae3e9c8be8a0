#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

namespace natgrad::detail {

/// Whether each element of the node's result is one element of its input: views, slices, gathers.
bool is_selection(const torch::autograd::Node& node);

/// Whether the node's kind tells that it is linear in all that it was given with a graph: a mean, a
/// sum, `nll_loss`, a product with a constant.
bool is_linear_by_kind(const torch::autograd::Node& node);

/// Whether the node is elementwise, a reduction or a view, and its result no larger than its
/// inputs: what a penalty on parameters is made of. A product with data broadcasts, as a rule.
bool is_part_of_a_penalty(torch::autograd::Node& node);

}  // namespace natgrad::detail
