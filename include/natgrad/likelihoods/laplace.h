#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent outputs with Laplace noise around z: with scale 1 the loss of `l1_loss` with
/// reduction sum.
///
///     log r = -|y - z|/b - log(2b),  score = sign(y - z)/b,  F_R = 1/b²,  B = 1/b.
///
/// -∇²log r is zero almost everywhere, and so is the Gauss-Newton matrix; the default
/// curvature takes the Fisher matrix. For the same reason E[-∇²log r] is not F_R here: log r has a
/// kink at y = z.
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT Laplace final : public Likelihood {
 public:
  /// `scale` b in y's units. Throws unless it is positive and finite.
  explicit Laplace(torch::Tensor location, double scale = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// b² v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// δ + e^-δ - 1, δ = |z' - z|/b.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double scale_;
};

}  // namespace natgrad
