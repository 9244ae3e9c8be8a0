#pragma once

#include "detail.h"

// What the families of independent Gaussians by two outputs each have in common.

#include <torch/torch.h>

#include <optional>
#include <utility>
#include <vector>

#include "likelihoods/excess.h"
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

/// `Likelihood::output_change`, per observation, of a mean that moves by `shift` and a log σ that
/// grows by `growth`, with e = (y - μ)/σ from the mean's score.
inline Likelihood::OutputChange change_of_gaussian(const torch::Tensor& score_of_mean,
                                                   const torch::Tensor& shift,
                                                   const torch::Tensor& growth,
                                                   const torch::Tensor& sigma) {
  const auto e = score_of_mean * sigma;
  const auto after = (e - shift / sigma) * torch::exp(-growth);
  return {growth + 0.5 * (after.square() - e.square()), growth.abs()};
}

/// KL of a Gaussian and one whose mean has moved by `shift` and whose log σ has grown by `growth`,
/// to `log_sigma`.
inline torch::Tensor divergence_of_gaussians(const torch::Tensor& shift,
                                             const torch::Tensor& growth,
                                             const torch::Tensor& log_sigma) {
  return 0.5 * exp_excess(-2 * growth) + 0.5 * (shift * torch::exp(-log_sigma)).square();
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
