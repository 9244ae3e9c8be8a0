#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>

namespace natgrad {

/// Gaussian outputs around z, [N, D], with a fixed covariance Σ between the D outputs of an
/// example: one observation is the vector of them.
///
///     log r = -½ (y - z)ᵀ Σ⁻¹ (y - z) - ½ log det(2πΣ),  score = Σ⁻¹ (y - z),  F_R = Σ⁻¹,  B = L⁻ᵀ
///
/// with the Cholesky factor Σ = L Lᵀ, made once; Σ⁻¹ is applied by triangular solves.
/// -∇²log r = F_R for every y. y: floating, z's shape, finite; log r: [N].
class NATGRAD_EXPORT FullGaussian final : public Likelihood {
 public:
  /// `covariance`: [D, D] for all examples, or one for each, [N, D, D]. A copy is kept, in the
  /// mean's dtype. Throws unless it is symmetric positive definite there, on the mean's device and
  /// without a gradient.
  FullGaussian(torch::Tensor mean, torch::Tensor covariance);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// Σ v.
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  int64_t outputs_per_observation() const override { return outputs().size(1); }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// ½ (z' - z)ᵀ Σ⁻¹ (z' - z).
  torch::Tensor compute_kl(const Likelihood& other) const override;

  /// Vectors [N, D] as the columns that Σ and L multiply, and back.
  torch::Tensor columns(const torch::Tensor& vectors) const;
  torch::Tensor vectors(const torch::Tensor& columns) const;

  torch::Tensor covariance_;
  torch::Tensor cholesky_;
};

}  // namespace natgrad
