#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/noise_density.h>

namespace natgrad {

/// Independent outputs around z with noise of any density c: a location family (Park, Amari &
/// Fukumizu 2000, "Adaptive natural gradient learning algorithms for various stochastic models").
///
///     log r = log c(y - z),  score = -c'(y - z)/c(y - z),  F_R = κ = ∫ c'(x)²/c(x) dx,  B = √κ.
///
/// So the Fisher matrix is κ times the classical Gauss-Newton matrix JᵀJ. -∇²log r = F_R only for
/// Gaussian noise, on average for any c whose slope does not jump.
///
/// <!-- snippet: prelude=regression -->
/// ```cpp
/// const natgrad::NoiseDensity sech(
///     [](const torch::Tensor& x) { return -torch::log(torch::cosh(x)); });
/// const auto loss = natgrad::nll(natgrad::Location(z, sech), y);
/// ```
///
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT Location final : public Likelihood {
 public:
  /// `noise` has y's units.
  Location(torch::Tensor location, NoiseDensity noise);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// v/κ.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return noise_.is_gaussian(); }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// E[log c(x) - log c(x - d)], d = z' - z, by quadrature.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  NoiseDensity noise_;
};

}  // namespace natgrad
