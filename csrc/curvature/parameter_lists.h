#pragma once

#include "detail.h"

// Parameters that an option of a curvature names.

#include <natgrad/linalg/parameters.h>
#include <torch/torch.h>

#include <algorithm>
#include <string>
#include <vector>

namespace natgrad::detail {

/// Whether one of `tensors` is this very tensor.
inline bool contains(const std::vector<torch::Tensor>& tensors, const torch::Tensor& t) {
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const torch::Tensor& other) { return other.is_same(t); });
}

/// Throws `c10::Error` for a parameter that is not the optimizer's, unless it is frozen. `role` is
/// what it was named for.
inline void check_is_one_of(const ParameterLayout& parameters, const torch::Tensor& named,
                            const std::string& role) {
  TORCH_CHECK(!named.requires_grad() || contains(parameters.tensors(), named),
              "natgrad: a parameter of shape ", named.sizes(), " ", role,
              " but is none of the optimizer's; pass the very tensors, as module->parameters() "
              "gives them.");
}

}  // namespace natgrad::detail
