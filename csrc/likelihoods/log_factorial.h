#pragma once

#include "detail.h"

#include <natgrad/likelihoods/log_gamma.h>
#include <torch/torch.h>

namespace natgrad::detail {

/// log y! - (y log y - y) for whole numbers y >= 0, in double.
inline torch::Tensor log_factorial_excess(const torch::Tensor& count) {
  const auto y = count.to(torch::kDouble), n = y.clamp_min(1);
  return torch::where(y > 0, log_gamma_excess(n) + n.log(), torch::zeros_like(n));
}

/// Whether y holds whole numbers >= 0, elementwise.
inline torch::Tensor is_count(const torch::Tensor& y) {
  return y.ge(0).logical_and(y.isfinite()).logical_and(y.eq(y.floor()));
}

/// y, if integer, in the outputs' precision, so that counts of either kind pass one check of shape
/// and type.
inline torch::Tensor as_floating_count(const torch::Tensor& y, const torch::Tensor& outputs) {
  const bool integer = y.defined() && at::isIntegralType(y.scalar_type(), /*includeBool=*/false);
  return integer ? y.to(outputs.scalar_type()) : y;
}

}  // namespace natgrad::detail
