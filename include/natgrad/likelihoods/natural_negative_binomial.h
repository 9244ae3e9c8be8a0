#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// `NegativeBinomial` by its natural parameter z = log p < 0; r > 0 is fixed.
///
///     log r(y|z) = log Γ(y + r)/(Γ(r) y!) + r log(1 - e^z) + y z,
///     score = y - r/(e^-z - 1),  F_R = r e^z/(1 - e^z)²,  B = √F_R.
///
/// -∇²log r = F_R for every y (Martens, "New perspectives", section 8). A network keeps z negative
/// by, for example, `-torch::softplus(a) - 1e-3`. y: floating or integer, z's shape, whole numbers
/// >= 0.
class NATGRAD_EXPORT NaturalNegativeBinomial final : public Likelihood {
 public:
  /// `failures`: r. Throws unless it is positive and finite, and naming the first z ≥ 0. NaN
  /// passes: of a diverged network the loss tells.
  NaturalNegativeBinomial(torch::Tensor log_probability, double failures);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (1 - e^z)² v/(r e^z).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// r (p/q (-d) + log(q/q')), q = 1 - p, d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double failures_;
};

}  // namespace natgrad
