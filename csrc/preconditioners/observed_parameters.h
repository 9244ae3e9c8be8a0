#pragma once

#include "detail.h"

#include <torch/types.h>

#include <algorithm>
#include <vector>

#include "linalg/shapes.h"

namespace natgrad::detail {

/// Whether running averages are of these parameters: of the very tensors that were observed, or,
/// after they were loaded, of the same shapes. True where nothing was observed.
inline bool are_the_observed(const std::vector<torch::Tensor>& observed,
                             const torch::Tensor& loaded_shapes,
                             const std::vector<torch::Tensor>& parameters) {
  if (observed.empty()) {
    return !loaded_shapes.defined() || torch::equal(loaded_shapes, shapes_of(parameters));
  }
  return std::equal(observed.begin(), observed.end(), parameters.begin(), parameters.end(),
                    [](const auto& a, const auto& b) { return a.is_same(b); });
}

}  // namespace natgrad::detail
