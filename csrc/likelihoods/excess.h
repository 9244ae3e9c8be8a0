#pragma once

#include "detail.h"

// Bregman divergences of exp and -log, of which most families' KL divergences are made: differences
// of second order, without the terms of order zero and one that cancel in them.

#include <torch/torch.h>

namespace natgrad::detail {

/// e^x - 1 - x ≥ 0.
inline torch::Tensor exp_excess(const torch::Tensor& x) {
  constexpr double kNear = 0.1;  // up to there the last term left out is below 1e-18 of the sum
  const auto is_near = x.abs() < kNear;
  const auto t = torch::where(is_near, x, 0);
  auto sum = torch::ones_like(t);
  for (int n = 12; n >= 3; --n) sum = 1 + t / n * sum;
  return torch::where(is_near, 0.5 * t.square() * sum, torch::expm1(x) - x);
}

/// t - log(1 + t) ≥ 0 for t > -1.
inline torch::Tensor log_shortfall(const torch::Tensor& t) { return exp_excess(torch::log1p(t)); }

/// z' - z, and 0 for two infinite ones that are equal: chances of 0 or 1 that stay so.
inline torch::Tensor change_of(const torch::Tensor& z, const torch::Tensor& moved) {
  return torch::where(z == moved, 0, moved - z);
}

}  // namespace natgrad::detail
