#include <fmt/format.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace natgrad {

using torch::Tensor;

Gaussian::Gaussian(Tensor mean, double variance)
    : Likelihood(std::move(mean)), variance_(variance) {
  TORCH_CHECK(variance > 0 && std::isfinite(variance),
              "natgrad: a Gaussian's variance is positive and finite, but got ", variance, ".");
}

std::string Gaussian::describe() const { return fmt::format("Gaussian(variance={})", variance_); }

void Gaussian::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.isfinite(), "a Gaussian target is finite");
}

Tensor Gaussian::compute_log_prob(const Tensor& y) const {
  const double log_normaliser = 0.5 * std::log(2 * std::numbers::pi * variance_);
  return -(y - outputs()).square() / (2 * variance_) - log_normaliser;
}

Tensor Gaussian::compute_score(const Tensor& y) const { return (y - outputs()) / variance_; }

Tensor Gaussian::fisher_multiply(const Tensor& v) const { return v / variance_; }

Tensor Gaussian::factor_multiply(const Tensor& r) const { return r / std::sqrt(variance_); }

Tensor Gaussian::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto noise = torch::empty_like(outputs()).normal_(0, 1, std::move(generator));
  return outputs() + std::sqrt(variance_) * noise;
}

}  // namespace natgrad
