#pragma once

#include "detail.h"

#include <torch/torch.h>

namespace natgrad::detail {

/// log σ(z). The second derivative that autograd takes of log_sigmoid is lost from z = -37 on, and
/// that of softplus above its threshold; of these two branches it keeps its digits wherever it is
/// not zero.
inline torch::Tensor log_sigma(const torch::Tensor& z) {
  const auto right = -torch::log1p(torch::exp(-z.clamp_min(0)));
  const auto left = z - torch::log1p(torch::exp(z.clamp_max(0)));
  return torch::where(z >= 0, right, left);
}

}  // namespace natgrad::detail
