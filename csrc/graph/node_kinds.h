#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <string>

#include "graph/census.h"

namespace natgrad::detail {

/// The name of an op below which has no second derivative in LibTorch, so that products with J
/// cannot be made: fused attention, bags of embeddings, fused recurrent nets on a GPU. Empty if
/// none is known.
std::string op_without_second_derivative(const Census& network);

/// Whether each element of the node's result is one element of its input: views, slices, gathers.
bool is_selection(const torch::autograd::Node& node);

/// Whether the node's kind tells that it is linear in all that it was given with a graph: a mean, a
/// sum, `nll_loss`, a product with a constant.
bool is_linear_by_kind(const torch::autograd::Node& node);

/// Whether the node is elementwise, a reduction or a view, and its result no larger than its
/// inputs: what a penalty on parameters is made of. A product with data broadcasts, as a rule.
bool is_part_of_a_penalty(torch::autograd::Node& node);

}  // namespace natgrad::detail
