#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <functional>
#include <string>

namespace natgrad::detail {

/// What to write instead of a loss along whose path, "A -> B -> C", no term was found.
std::string way_out_of(const std::string& path);

/// Throws `c10::Error`, naming what to write instead, at a loss of LibTorch that natgrad cannot
/// read and below which parameters are reached.
void check_has_reader(const torch::autograd::Node& node,
                      const std::function<bool()>& reaches_parameter);

}  // namespace natgrad::detail
