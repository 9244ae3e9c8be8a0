#pragma once

#include "detail.h"

#include <torch/torch.h>

namespace natgrad::detail {

/// log σ(z). The second derivative that autograd takes of log_sigmoid is lost from z = -37 on, and
/// that of softplus above its threshold; of these two branches it keeps its digits wherever it is
/// not zero. Not by clamp: its derivative at the bound is 1 up to LibTorch 2.13 and 0 from 2.14 on.
inline torch::Tensor log_sigma(const torch::Tensor& z) {
  const auto is_right = z >= 0;
  const auto right = -torch::log1p(torch::exp(-torch::where(is_right, z, 0)));
  const auto left = z - torch::log1p(torch::exp(torch::where(is_right, 0, z)));
  return torch::where(is_right, right, left);
}

}  // namespace natgrad::detail
