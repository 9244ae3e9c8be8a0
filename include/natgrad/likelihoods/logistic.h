#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent outputs around z with logistic noise: like a Gaussian near z, exponential far from
/// it. With d = (y - z)/s:
///
///     log r = -d - 2 log(1 + e^-d) - log s,  score = tanh(d/2)/s,  F_R = 1/(3s²),  B = 1/(√3 s).
///
/// -∇²log r = 1/(2 s² cosh²(d/2)) is positive, but F_R only on average.
/// y: floating, z's shape, finite.
class NATGRAD_EXPORT Logistic final : public Likelihood {
 public:
  /// `scale` s in y's units. Throws unless it is positive and finite.
  explicit Logistic(torch::Tensor location, double scale = 1);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// 3s² v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return false; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// 2 (x coth x - 1), x = (z' - z)/2s.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  double scale_;
};

}  // namespace natgrad
