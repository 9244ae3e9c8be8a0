#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent positive numbers, Gamma distributed, by shape α and rate β as natural parameters:
/// z = (α, -β), [N, 2M, ...], along dimension 1 the M shapes and then the M negative rates.
///
///     log r = α log β - log Γ(α) + (α - 1) log y - β y,
///     score = (log y - ψ(α) + log β, y - α/β),
///     F_R = [[ψ₁(α), 1/β], [1/β, α/β²]],  B = [[√(ψ₁(α) - 1/α), 1/√α], [0, √α/β]].
///
/// Mean α/β, variance α/β². -∇²log r = F_R for every y (Martens, "New perspectives", section 8:
/// T = (log y, y)). Large α, where the terms of log r and of det F_R cancel, keeps its digits. A
/// network keeps the signs by, for example, `torch::cat({torch::softplus(a) + 1e-3,
/// -torch::softplus(b) - 1e-3}, 1)`. y: floating, [N, M, ...], positive and finite; one observation
/// each.
class NATGRAD_EXPORT Gamma final : public Likelihood {
 public:
  /// Throws naming the first α ≤ 0 or -β ≥ 0. NaN passes: of a diverged network the loss tells.
  explicit Gamma(torch::Tensor outputs);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// B⁻ᵀB⁻¹ v, by the triangle B; as of `fisher_multiply`, no terms cancel for large α.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// Draws too small for z's dtype are its smallest positive number.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  int64_t outputs_per_observation() const override { return 2; }
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// The excess of log Γ's Bregman divergence, and α' (τ - log(1 + τ)), 1 + τ the ratio of the
  /// means.
  torch::Tensor compute_kl(const Likelihood& other) const override;
};

}  // namespace natgrad
