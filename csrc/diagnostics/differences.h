#pragma once

#include <natgrad/diagnostics/operator_health.h>
#include <torch/types.h>

#include <array>
#include <string>

#include "detail.h"

namespace natgrad::detail {

/// Where a function of ε is looked at, in units of the step.
inline constexpr std::array<double, 4> kPoints = {1, -1, 2, -2};

/// Its derivative at 0 by what it is there, extrapolated from the central differences at one and
/// two steps (Richardson), and how far off it may be: what these two differ by, half the jump of a
/// kink, and rounding.
struct Derivative {
  torch::Tensor value;  ///< in double
  double error = 0;
};

/// `at_zero`: the function at ε = 0; `size`: that of its values, for their `rounding`.
Derivative derivative_of(const std::array<torch::Tensor, 4>& values, const torch::Tensor& at_zero,
                         double step, double size, double rounding);

/// `claimed` against it, relative to the larger of the two; inconclusive where the error is more
/// than a third of that.
HealthCheck held_against(std::string name, const torch::Tensor& claimed,
                         const Derivative& derivative, double tolerance, std::string says);

}  // namespace natgrad::detail
