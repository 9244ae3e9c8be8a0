#include <ATen/ExpandUtils.h>
#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "likelihoods/fixed_tensor.h"

namespace natgrad {

using torch::Tensor;

DiagonalGaussian::DiagonalGaussian(Tensor mean, Tensor variance)
    : Likelihood(std::move(mean)), variance_(fixed_tensor(variance, outputs(), "variance")) {
  TORCH_CHECK(at::is_expandable_to(variance_.sizes(), outputs().sizes()),
              "natgrad: a DiagonalGaussian's variance broadcasts to its mean, but the mean has "
              "shape ",
              outputs().sizes(), " and the variance ", variance_.sizes(), ".");
  check_support(variance_, variance_.gt(0).logical_and(variance_.isfinite()),
                "a variance is positive and finite", "variance");
}

DiagonalGaussian::DiagonalGaussian(Tensor mean, double variance) : Likelihood(std::move(mean)) {
  TORCH_CHECK(variance > 0 && std::isfinite(variance),
              "natgrad: a Gaussian's variance is positive and finite, but got ", variance, ".");
  variance_ = torch::full({}, variance, outputs().options().requires_grad(false));
}

std::string DiagonalGaussian::describe() const {
  return "DiagonalGaussian(variance=" + fingerprint(variance_) + ")";
}

void DiagonalGaussian::check_targets(const Tensor& y) const {
  check_real(y, outputs().sizes(), "Gaussian");
}

Tensor DiagonalGaussian::compute_log_prob(const Tensor& y) const {
  const auto log_normaliser = 0.5 * (variance_.log() + std::log(2 * std::numbers::pi));
  return -(y - outputs()).square() / (2 * variance_) - log_normaliser;
}

Tensor DiagonalGaussian::compute_score(const Tensor& y) const {
  return (y - outputs()) / variance_;
}

Tensor DiagonalGaussian::fisher_multiply(const Tensor& v) const { return v / variance_; }

Tensor DiagonalGaussian::factor_multiply(const Tensor& r) const { return r / variance_.sqrt(); }

Tensor DiagonalGaussian::fisher_solve(const Tensor& v) const { return variance_ * v; }

Tensor DiagonalGaussian::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto noise = torch::empty_like(outputs()).normal_(0, 1, std::move(generator));
  return outputs() + variance_.sqrt() * noise;
}

Tensor DiagonalGaussian::compute_kl(const Likelihood& other) const {
  return (other.outputs() - outputs()).square() / (2 * variance_);
}

}  // namespace natgrad
