#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

namespace natgrad::detail {

/// The edge of the node's i-th result: what a backward pass captures to bring the result's
/// gradient. It keeps the node alive.
torch::autograd::Edge result_of(torch::autograd::Node& node, uint32_t i = 0);

/// Shape, and dtype and device, of the tensor that an edge stands for.
torch::IntArrayRef shape_at(const torch::autograd::Edge& edge);
torch::TensorOptions options_at(const torch::autograd::Edge& edge);
/// Zeros like it.
torch::Tensor zeros_at(const torch::autograd::Edge& edge);

/// The gradient edge of a tensor, and its node.
torch::autograd::Edge edge_of(const torch::Tensor& tensor);
torch::autograd::Node& node_of(const torch::Tensor& tensor);

/// A strict order in which each node comes after all nodes below it.
bool is_lower(const torch::autograd::Node& a, const torch::autograd::Node& b);
/// Whether the forward pass of this thread made `a` before `b`.
bool is_earlier(const torch::autograd::Node& a, const torch::autograd::Node& b);

}  // namespace natgrad::detail
