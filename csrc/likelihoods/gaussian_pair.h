#pragma once

#include "detail.h"

// What the families of independent Gaussians by two outputs each have in common.

#include <torch/torch.h>

#include <optional>
#include <utility>
#include <vector>

#include "likelihoods/paired_outputs.h"

namespace natgrad::detail {

/// Throws unless z is [N, 2M, ...].
inline void check_gaussian_pair(const torch::Tensor& z) {
  check_paired(z, "a family of Gaussians by two outputs each");
}

/// The shape of y for such z: [N, M, ...].
inline std::vector<int64_t> targets_of_pair(const torch::Tensor& z) {
  auto shape = z.sizes().vec();
  shape[1] /= 2;
  return shape;
}

/// mean + standard_deviation · noise.
inline torch::Tensor sample_gaussian(const torch::Tensor& mean,
                                     const torch::Tensor& standard_deviation,
                                     std::optional<at::Generator> generator) {
  const torch::NoGradGuard no_grad;
  const auto noise = torch::empty_like(mean).normal_(0, 1, std::move(generator));
  return mean + standard_deviation * noise;
}

}  // namespace natgrad::detail
