#pragma once

#include <natgrad/likelihoods/paired_gaussian.h>

namespace natgrad {

/// Gaussians by mean and logarithm of the variance: z = (μ, η), σ² = e^η (`PairedGaussian` for the
/// layout, [N, 2M, ...]). The usual form of `gaussian_nll_loss` with a learnt variance.
///
///     log r = -(y - μ)²/(2σ²) - ½ η - ½ log 2π,  score = ((y - μ)/σ², ½ (y - μ)²/σ² - ½),
///     F_R = diag(1/σ², ½),  B = diag(1/σ, √½).
///
/// -∇²log r is not F_R: its determinant -½(y - μ)²/σ⁴ is negative unless y = μ, so that the
/// Gauss-Newton matrix is indefinite; the default curvature takes the Fisher matrix.
class LogVarianceGaussian final : public PairedGaussian {
 public:
  explicit LogVarianceGaussian(torch::Tensor outputs);

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
