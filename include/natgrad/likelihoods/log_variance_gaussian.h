#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Gaussians by mean and logarithm of the variance: z = (μ, η), σ² = e^η (z is [N, 2M, ...]: along
/// dimension 1 the M first parameters, then the M second ones; y floating, [N, M, ...], finite).
/// The usual form of `gaussian_nll_loss` with a learnt variance.
///
///     log r = -(y - μ)²/(2σ²) - ½ η - ½ log 2π,  score = ((y - μ)/σ², ½ (y - μ)²/σ² - ½),
///     F_R = diag(1/σ², ½),  B = diag(1/σ, √½).
///
/// -∇²log r is not F_R: its determinant -½(y - μ)²/σ⁴ is negative unless y = μ, so that the
/// Gauss-Newton matrix is indefinite; the default curvature takes score rows or the Fisher matrix.
class NATGRAD_EXPORT LogVarianceGaussian final : public Likelihood {
 public:
  /// `outputs`: z = (μ, η), side by side along dimension 1.
  explicit LogVarianceGaussian(torch::Tensor outputs);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (σ² v₁, 2 v₂).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d| of log σ² / 2; the mean's moves are not bounded.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;
  int64_t outputs_per_observation() const override { return 2; }
  bool hessian_is_fisher() const override { return false; }

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// ½ (e^m - 1 - m) + ½ (μ' - μ)²/σ'², m = η - η'.
  torch::Tensor compute_kl(const Likelihood& other) const override;
  torch::Tensor mean() const;
  torch::Tensor standard_deviation() const;
};

}  // namespace natgrad
