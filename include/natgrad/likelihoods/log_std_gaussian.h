#pragma once

#include <natgrad/likelihoods/paired_gaussian.h>

namespace natgrad {

/// Gaussians by mean and logarithm of the standard deviation: z = (μ, ℓ), σ = e^ℓ
/// (`PairedGaussian` for the layout, [N, 2M, ...]).
///
///     log r = -½ ((y - μ)/σ)² - ℓ - ½ log 2π,  score = ((y - μ)/σ², (y - μ)²/σ² - 1),
///     F_R = diag(1/σ², 2),  B = diag(1/σ, √2).
///
/// -∇²log r is not F_R: its determinant -2(y - μ)²/σ⁴ is negative unless y = μ, so that the
/// Gauss-Newton matrix is indefinite; the default curvature takes the Fisher matrix.
class LogStdGaussian final : public PairedGaussian {
 public:
  explicit LogStdGaussian(torch::Tensor outputs);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  bool hessian_is_fisher() const override { return false; }

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  torch::Tensor mean() const override;
  torch::Tensor standard_deviation() const override;
};

}  // namespace natgrad
