#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// The running means and variances that batch normalisation in training mode has updated, of these
/// nodes, once each. They share the buffers' memory.
std::vector<torch::Tensor> running_statistics(const std::vector<torch::autograd::Node*>& nodes);

}  // namespace natgrad::detail
