#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent counts by the logarithm of their rate: λ = e^z, the loss of `poisson_nll_loss` with
/// `log_input` (which leaves out log y!).
///
///     log r = y z - e^z - log y!,  score = y - e^z,  F_R = e^z,  B = e^(z/2).
///
/// -∇²log r = F_R for every y. e^z overflows from z = 710 (float64) or 89 (float32) on.
/// y: floating or integer, z's shape, whole numbers >= 0.
class NATGRAD_EXPORT Poisson final : public Likelihood {
 public:
  /// `log_rate`: z, of any shape.
  explicit Poisson(torch::Tensor log_rate);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// e^-z v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  /// reach = |d|, of log-rates.
  std::optional<OutputChange> output_change(const torch::Tensor& score,
                                            const torch::Tensor& d) const override;
  /// Counts in z's dtype. Rates above 1e8 are drawn from their normal limit, rounded.
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// e^z (e^d - 1 - d), d = z' - z.
  torch::Tensor compute_kl(const Likelihood& other) const override;
};

}  // namespace natgrad
