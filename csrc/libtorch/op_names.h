#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <string>
#include <unordered_set>

namespace natgrad::detail {

/// "Pow" of PowBackward0: the op whose backward a node of LibTorch's own is.
const std::string& op_name(const torch::autograd::Node& node);

/// Names of ops that natgrad tells apart by no more than their name.
using OpNames = std::unordered_set<std::string>;
/// Each element of the result is one of the input; all are kept, but for slices.
const OpNames& view_ops();
/// Picks elements.
const OpNames& gather_ops();
const OpNames& elementwise_ops();
const OpNames& reduction_ops();

}  // namespace natgrad::detail
