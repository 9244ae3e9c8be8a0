#pragma once

#include "detail.h"

#include "likelihoods/log_factorial.h"

namespace natgrad::detail {

/// log Γ(y + r)/(Γ(r) y!) + y log p + r log q. With Γ and y! as powers and their excess, the powers
/// join log p and log q: where y is likely, they nearly cancel, and no terms of order y log y are
/// left.
/// y, log p and log q: in double, as y and r multiply what rounding leaves.
inline torch::Tensor negative_binomial_log_prob(const torch::Tensor& y, double r,
                                                const torch::Tensor& log_p,
                                                const torch::Tensor& log_q) {
  const auto excess = log_gamma_excess(y + r) - log_factorial_excess(y) -
                      log_gamma_excess(torch::full({}, r, y.options()));
  return y * (log_p + torch::log1p(r / y.clamp_min(1))) + r * (log_q + torch::log1p(y / r)) +
         excess;
}

}  // namespace natgrad::detail
