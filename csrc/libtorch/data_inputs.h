#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// What the node's op was given without a gradient and kept, where it holds examples: the input of
/// a first linear layer or convolution, the indices of an embedding, a factor of the result's
/// shape. Nothing for ops that keep no such thing (`x - w`).
std::vector<torch::Tensor> data_inputs(torch::autograd::Node& node);

}  // namespace natgrad::detail
