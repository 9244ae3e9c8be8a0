#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent counts with more variance than a Poisson's, by logits: p = σ(z), the number of
/// successes of chance p before the r-th failure, as `torch.distributions.NegativeBinomial(r,
/// logits=z)`. r > 0 is fixed and need not be whole.
///
///     log r(y|z) = log Γ(y + r)/(Γ(r) y!) + r log σ(-z) + y log σ(z),
///     score = y σ(-z) - r σ(z),  F_R = r σ(z),  B = √(r σ(z)).
///
/// Mean r e^z, variance r e^z (1 + e^z). z is not a natural parameter: -∇²log r = (y + r) σ(z)
/// σ(-z) is positive, but F_R only on average; see `NaturalNegativeBinomial`. y: floating or
/// integer, z's shape, whole numbers >= 0.
class NATGRAD_EXPORT NegativeBinomial final : public Likelihood {
 public:
  /// `failures`: r. Throws unless it is positive and finite.
  NegativeBinomial(torch::Tensor logits, double failures);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/(r σ(z)).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d|.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  /// A Poisson count whose rate is Gamma distributed; in z's dtype.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// r (e^z log(p/p') + log(q/q')), q = 1 - p.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double failures_;
};

}  // namespace natgrad
