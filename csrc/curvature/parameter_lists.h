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

/// Throws `c10::Error` unless there is a block number >= 0 for each parameter.
inline void check_block_numbers(const ParameterLayout& parameters,
                                const std::vector<int64_t>& blocks) {
  TORCH_CHECK(blocks.size() == parameters.tensors().size(),
              "natgrad: ", parameters.tensors().size(),
              " parameters need as many block numbers, but got ", blocks.size(), ".");
  for (size_t i = 0; i < blocks.size(); ++i) {
    TORCH_CHECK(blocks[i] >= 0, "natgrad: a block number is >= 0, but that of parameter ", i,
                " is ", blocks[i], ".");
  }
}

}  // namespace natgrad::detail
