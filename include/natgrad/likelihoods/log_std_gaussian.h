#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Gaussians by mean and logarithm of the standard deviation: z = (μ, ℓ), σ = e^ℓ
/// (z is [N, 2M, ...]: along dimension 1 the M
/// first parameters, then the M second ones; y floating, [N, M, ...], finite).
///
///     log r = -½ ((y - μ)/σ)² - ℓ - ½ log 2π,  score = ((y - μ)/σ², (y - μ)²/σ² - 1),
///     F_R = diag(1/σ², 2),  B = diag(1/σ, √2).
///
/// -∇²log r is not F_R: its determinant -2(y - μ)²/σ⁴ is negative unless y = μ, so that the
/// Gauss-Newton matrix is indefinite; the default curvature takes score rows or the Fisher matrix.
class NATGRAD_EXPORT LogStdGaussian final : public Likelihood {
 public:
  /// `outputs`: z = (μ, ℓ), side by side along dimension 1.
  explicit LogStdGaussian(torch::Tensor outputs);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (σ² v₁, ½ v₂).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d| of log σ; the mean's moves are not bounded.
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
  /// ½ (e^m - 1 - m) + ½ ((μ' - μ)/σ')², m = 2(ℓ - ℓ').
  torch::Tensor compute_kl(const Likelihood& other) const override;
  torch::Tensor mean() const;
  torch::Tensor standard_deviation() const;
};

}  // namespace natgrad
