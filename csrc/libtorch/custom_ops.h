#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <string>

namespace natgrad::detail {

/// Whether the node's backward was written by a user, as a torch::autograd::Function.
bool is_custom(const torch::autograd::Node& node);

/// The op whose backward the node is, as a user knows it: "Addmm", the class of a custom one, "a
/// parameter".
std::string spoken_name(const torch::autograd::Node& node);

}  // namespace natgrad::detail
