#pragma once

// Losses and logarithms of densities as a user writes them, for `Location`,
// `ExpLoss` and `ExpLossOverLabels`.

#include <limits>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

inline Tensor half_square(const Tensor& x) { return -0.5 * x.square(); }

inline Tensor minus_absolute(const Tensor& x) { return -x.abs(); }

/// By where, not abs: the second derivative at 0 is -1.
inline Tensor minus_log_cosh(const Tensor& x) {
  const auto left = torch::where(x > 0, -x, x);
  return left - torch::log1p(torch::exp(2 * left));
}

inline Tensor minus_log_cauchy(const Tensor& x) { return -torch::log1p(x.square()); }

inline auto minus_huber(double delta) {
  return [delta](const Tensor& x) {
    return -torch::huber_loss(x, torch::zeros_like(x), at::Reduction::None, delta);
  };
}

inline Tensor square_loss(const Tensor& y, const Tensor& z) { return 0.5 * (y - z).square(); }

inline Tensor circular_loss(const Tensor& y, const Tensor& z) { return -2 * torch::cos(y - z); }

/// The thresholds between the four labels of `ordinal_loss`.
inline std::vector<double> ordinal_thresholds() { return {-1.0, 0.2, 1.7}; }

/// -log σ(x), with all derivatives.
inline Tensor minus_log_sigmoid(const Tensor& x) {
  const auto left = torch::where(x > 0, -x, x);
  return torch::log1p(torch::exp(left)) - torch::where(x > 0, torch::zeros_like(x), x);
}

/// -log(σ(c_y - z) - σ(c_{y-1} - z)), in which σ(a) - σ(b) = σ(a) σ(-b) (1 - e^(b - a)): cumulative
/// logits (McCullagh 1980, "Regression models for ordinal data"). The outermost thresholds are ±∞,
/// and their terms zero.
inline Tensor ordinal_loss(const Tensor& y, const Tensor& z) {
  const auto c = torch::tensor(ordinal_thresholds(), z.options().requires_grad(false));
  const auto last = c.numel();
  const auto label = y.detach().to(torch::kLong);
  const auto above = c.index({label.clamp_max(last - 1)});
  const auto below = c.index({(label - 1).clamp_min(0)});
  const auto inner = label.gt(0).logical_and(label.lt(last));
  const auto gap = torch::where(inner, below - above, -torch::ones_like(above));
  return torch::where(label < last, minus_log_sigmoid(above - z), 0.0) +
         torch::where(label > 0, minus_log_sigmoid(z - below), 0.0) -
         torch::where(inner, torch::log(-torch::expm1(gap)), 0.0);
}

/// -log softmax(z)_y for a row of outputs and a label each.
inline Tensor softmax_loss(const Tensor& y, const Tensor& z) {
  return -z.log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1);
}

/// The same of four logits that are curved functions of two outputs.
inline Tensor mixed_loss(const Tensor& y, const Tensor& z) {
  const auto a = z.select(1, 0), b = z.select(1, 1);
  return softmax_loss(y, torch::stack({a, b, a * b, (a - b).sin()}, 1));
}

}  // namespace natgrad::testing
