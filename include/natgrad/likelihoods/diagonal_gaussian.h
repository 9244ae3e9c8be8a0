#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Independent Gaussian outputs around z with a fixed variance for each output or each element:
/// `gaussian_nll_loss` with a known variance.
///
///     log r = -(y - z)²/(2σ²) - ½ log(2πσ²),  score = (y - z)/σ²,  F_R = 1/σ²,  B = 1/σ.
///
/// -∇²log r = F_R for every y. y: floating, z's shape, finite.
class NATGRAD_EXPORT DiagonalGaussian : public Likelihood {
 public:
  /// `variance` in the square of y's units, of a shape that broadcasts to the mean's: [M] or
  /// [N, M] for a mean [N, M]. A copy is kept, in the mean's dtype. Throws unless it is positive
  /// and finite there, on the mean's device and without a gradient.
  DiagonalGaussian(torch::Tensor mean, torch::Tensor variance);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// σ² v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const torch::Tensor& y) const override;

 protected:
  /// One variance for all.
  DiagonalGaussian(torch::Tensor mean, double variance);

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// (z' - z)²/(2σ²).
  torch::Tensor compute_kl(const Likelihood& other) const override;

  torch::Tensor variance_;
};

}  // namespace natgrad
