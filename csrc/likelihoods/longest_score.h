#pragma once

#include "detail.h"

#include <torch/types.h>

#include <cmath>
#include <limits>

namespace natgrad::detail {

inline double smallest_normal(const torch::Tensor& t) {
  return t.scalar_type() == torch::kDouble ? std::numeric_limits<double>::min()
                                           : std::numeric_limits<float>::min();
}

/// The largest c = √(sᵀF_R⁻s) of a score factor that leaves s/c a normal number, with room for what
/// it is multiplied by: 1e15 in float32, 1e123 in double.
inline double longest_score(const torch::Tensor& score) {
  return std::pow(smallest_normal(score), -0.4);
}

}  // namespace natgrad::detail
