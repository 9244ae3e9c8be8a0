#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Gaussians by their natural parameters: z = (a, b) with a = μ/σ² and b = -1/(2σ²) < 0, so that
/// mean and variance are both outputs (z is [N, 2M, ...]: along dimension 1 the M
/// first parameters, then the M second ones; y floating, [N, M, ...], finite).
///
///     log r = a y + b y² + a²/(4b) + ½ log(-b/π),  score = (y - μ, y² - μ² - σ²),
///     F_R = [[σ², 2μσ²], [2μσ², 4μ²σ² + 2σ⁴]],  B = [[σ, 0], [2μσ, √2 σ²]].
///
/// -∇²log r = F_R for every y, as in every exponential family by its natural parameters (Martens,
/// "New perspectives", section 8). A network keeps b negative by, for example,
/// `torch::cat({a, -torch::softplus(c) - 1e-3}, 1)` (softplus alone may underflow to 0).
class NATGRAD_EXPORT NaturalGaussian final : public Likelihood {
 public:
  /// Throws naming the first b ≥ 0. NaN passes: of a diverged network the loss tells.
  explicit NaturalGaussian(torch::Tensor outputs);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (v₁/σ² - 2μ w₂, w₂) with w₂ = (v₂ - 2μ v₁)/(2σ⁴).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;
  int64_t outputs_per_observation() const override { return 2; }
  bool hessian_is_fisher() const override { return true; }

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// ½ (t - log(1 + t)) + ½ (μ' - μ)²/σ'², t = σ²/σ'² - 1.
  torch::Tensor compute_kl(const Likelihood& other) const override;
  torch::Tensor mean() const;
  torch::Tensor standard_deviation() const;
};

}  // namespace natgrad
