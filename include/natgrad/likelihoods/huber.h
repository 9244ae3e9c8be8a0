#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent outputs around z with noise that is Gaussian within δ scales and exponential beyond
/// (Huber 1964, "Robust estimation of a location parameter"). With d = (y - z)/s:
///
///     log r = -L(d) - log(Z s),  L(d) = ½ d² for |d| <= δ, δ(|d| - ½δ) beyond,
///     Z = √2π erf(δ/√2) + (2/δ) e^(-δ²/2),  score = clamp(d, -δ, δ)/s,
///     F_R = κ/s²,  κ = P(|d| <= δ) = √2π erf(δ/√2)/Z,  B = √κ/s.
///
/// `Huber(z, δ)` is the loss of `huber_loss`, `Huber(z, √β, √β)` that of `smooth_l1_loss` with β,
/// both with reduction sum. -∇²log r is 1/s² within δ and zero beyond: F_R only on average.
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT Huber final : public Likelihood {
 public:
  /// `delta` without unit, `scale` s in y's units. Throws unless both are positive and finite.
  explicit Huber(torch::Tensor location, double delta = 1, double scale = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// s² v/κ.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// E[L(x - d) - L(x)], d = (z' - z)/s, by quadrature.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double delta_;
  double scale_;
  double core_share_;      // κ
  double log_normaliser_;  // log(Z s)
};

}  // namespace natgrad
