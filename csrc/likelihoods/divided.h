#pragma once

#include "detail.h"

#include <torch/torch.h>

#include "likelihoods/longest_score.h"

namespace natgrad::detail {

/// v/d for v in the range of diag(d), d ≥ 0. Where d has underflowed v is zero, and 0/0 is none:
/// d counts as the smallest normal number at least.
inline torch::Tensor divided(const torch::Tensor& v, const torch::Tensor& d) {
  return v / d.clamp_min(smallest_normal(d));
}

}  // namespace natgrad::detail
