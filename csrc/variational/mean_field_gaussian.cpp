#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/variational/mean_field_gaussian.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace natgrad {

using torch::Tensor;

namespace {

Tensor constant(const Tensor& t, const char* name) {
  TORCH_CHECK(
      t.defined() && t.dim() == 1 && t.numel() > 0 && t.is_floating_point(), "natgrad: the ", name,
      " of a MeanFieldGaussian is a floating-point vector of [d], d >= 1, but got ",
      t.defined() ? c10::str(t.scalar_type(), " of shape ", t.sizes()) : "an undefined tensor",
      ".");
  return t.detach().clone(torch::MemoryFormat::Contiguous);
}

void check_alike(const Tensor& one, const Tensor& other, const char* names) {
  TORCH_CHECK(one.sizes() == other.sizes() && one.scalar_type() == other.scalar_type() &&
                  one.device() == other.device(),
              "natgrad: the ", names,
              " of a MeanFieldGaussian are alike in shape, dtype and device, but are ",
              one.scalar_type(), one.sizes(), " on ", one.device(), " and ", other.scalar_type(),
              other.sizes(), " on ", other.device(), ".");
}

}  // namespace

MeanFieldGaussian::MeanFieldGaussian(const Tensor& mean, const Tensor& standard_deviation)
    : mean_(constant(mean, "mean")), sigma_(constant(standard_deviation, "standard deviation")) {
  check_alike(mean_, sigma_, "mean and standard deviation");
  check_support(mean_, mean_.isfinite(), "the mean of a MeanFieldGaussian is finite", "mean");
  check_support(sigma_, sigma_.gt(0).logical_and(sigma_.isfinite()),
                "the standard deviation of a MeanFieldGaussian is positive and finite",
                "standard_deviation");
}

MeanFieldGaussian MeanFieldGaussian::from_natural(const Tensor& lambda_1, const Tensor& lambda_2) {
  const auto first = constant(lambda_1, "λ₁"), second = constant(lambda_2, "λ₂");
  check_alike(first, second, "natural parameters");
  check_support(second, second.lt(0).logical_and(second.isfinite()),
                "λ₂ = -1/(2σ²) of a MeanFieldGaussian is negative and finite", "lambda_2");
  const auto variance = -0.5 / second;
  return {first * variance, variance.sqrt()};
}

Tensor MeanFieldGaussian::variance() const { return sigma_.square(); }

Tensor MeanFieldGaussian::lambda_1() const { return mean_ / variance(); }

Tensor MeanFieldGaussian::lambda_2() const { return -0.5 / variance(); }

Tensor MeanFieldGaussian::log_prob(const Tensor& theta) const {
  TORCH_CHECK(theta.dim() == 2 && theta.size(1) == size(), "natgrad: points are of [S, ", size(),
              "], but got shape ", theta.sizes(), ".");
  const auto standardised = (theta - mean_) / sigma_;
  return (-0.5 * standardised.square() - sigma_.log() - 0.5 * std::log(2 * std::numbers::pi))
      .sum(1);
}

Tensor MeanFieldGaussian::entropy() const {
  return (sigma_.log() + 0.5 * std::log(2 * std::numbers::pi * std::numbers::e)).sum();
}

LinearOperator MeanFieldGaussian::fisher_mean_log_std() const {
  return diagonal_operator(torch::cat({sigma_.pow(-2), torch::full_like(sigma_, 2)}));
}

LinearOperator MeanFieldGaussian::fisher_mean_variance() const {
  return diagonal_operator(torch::cat({sigma_.pow(-2), 0.5 * sigma_.pow(-4)}));
}

LinearOperator MeanFieldGaussian::fisher_natural() const {
  return {"Fisher matrix in the natural parameters", 2 * size(), mean_.options(),
          [mu = mean_, s = variance()](const Tensor& v) {
            const auto halves = v.chunk(2);
            // By the chain rule through σ²: (dμ, dσ²) first, then d(μ² + σ²).
            const auto d_mean = s * halves[0] + 2 * mu * s * halves[1];
            return torch::cat({d_mean, 2 * mu * d_mean + 2 * s.square() * halves[1]});
          }};
}

}  // namespace natgrad
