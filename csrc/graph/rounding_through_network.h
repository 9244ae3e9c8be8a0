#pragma once

#include "detail.h"

#include <torch/types.h>

namespace natgrad::detail {

/// Bounds the relative rounding of what a pass through a deep network computes in this precision;
/// what an op loses that is not differentiable, or that mixes examples, does not stay below it.
inline double rounding_through_network(torch::ScalarType type) {
  if (type == torch::kDouble) return 1e-9;
  return type == torch::kFloat ? 1e-3 : 1e-1;
}

}  // namespace natgrad::detail
