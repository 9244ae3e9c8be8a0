#pragma once

#include "detail.h"

#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// Shapes, one after the other, each with its number of dimensions before it: [n].
torch::Tensor shapes_of(const std::vector<torch::Tensor>& tensors);

}  // namespace natgrad::detail
