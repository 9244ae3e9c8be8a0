#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent waiting times by their natural parameter z = -rate < 0.
///
///     log r = y z + log(-z),  score = y + 1/z,  F_R = 1/z²,  B = 1/|z|.
///
/// -∇²log r = F_R for every y (Martens, "New perspectives", section 8). A network keeps z negative
/// by, for example, `-torch::softplus(a) - 1e-3`; `LogRateExponential` takes any number. y:
/// floating, z's shape, finite, >= 0.
class NATGRAD_EXPORT Exponential final : public Likelihood {
 public:
  /// Throws naming the first z ≥ 0. NaN passes: of a diverged network the loss tells.
  explicit Exponential(torch::Tensor minus_rate);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// z² v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// λ'/λ - 1 - log(λ'/λ), of the rates λ.
  torch::Tensor compute_kl(const Likelihood& other) const override;
};

}  // namespace natgrad
