#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/likelihoods/of_outputs.h>

namespace natgrad {

/// Multivariate Gaussians by their natural parameters, so that mean and covariance are both
/// outputs: z = (Σ⁻¹μ, vech Σ⁻¹), [N, D + D(D+1)/2], where vech holds the lower triangle row by row
/// (Σ⁻¹₁₁, Σ⁻¹₂₁, Σ⁻¹₂₂, ..., as `torch::tril_indices`). One observation is an example's D outputs.
///
///     log r = -½ (y - μ)ᵀ Σ⁻¹ (y - μ) + ½ log det(Σ⁻¹/2π),
///     T = (y, -½ yᵢ² on the diagonal, -yᵢ yⱼ below),  score = T - E[T],
///     F_R (a, H) = (u, -vech'(μuᵀ + uμᵀ - ΣHΣ)),  u = Σ(a - Hμ),
///
/// H symmetric with the given vech, and vech' halving the diagonal. B is square, in closed form
/// too. -∇²log r = F_R for every y (Martens, "New perspectives", section 8). The paper's vec Σ⁻¹
/// holds each entry below the diagonal twice; F_R is then singular, in vech it is not. Products
/// cost O(N D³). y: floating, [N, D], finite.
class NATGRAD_EXPORT NaturalFullGaussian final : public Likelihood {
 public:
  /// Throws unless z has such a shape, and naming the first example whose Σ⁻¹ is not positive
  /// definite. Examples that are not finite pass: of a diverged network the loss tells.
  explicit NaturalFullGaussian(torch::Tensor outputs);

  /// z of these means, [N, D], and precisions Σ⁻¹, [N, D, D]; differentiable. A network that puts
  /// out A may so take Σ⁻¹ = A Aᵀ + εI.
  static torch::Tensor natural_parameters(const torch::Tensor& mean,
                                          const torch::Tensor& precision);

  std::string describe() const override;
  torch::Tensor fisher_multiply(const torch::Tensor& v) const override;
  torch::Tensor factor_multiply(const torch::Tensor& r) const override;
  /// (Σ⁻¹u + Hμ, vech H) with H = Σ⁻¹(μuᵀ + uμᵀ - M)Σ⁻¹, for v = (u, -vech' M).
  torch::Tensor fisher_solve(const torch::Tensor& v) const override;
  torch::Tensor sample(std::optional<at::Generator> generator = std::nullopt) const override;
  bool hessian_is_fisher() const override { return true; }
  int64_t outputs_per_observation() const override { return outputs().size(1); }
  void check_targets(const torch::Tensor& y) const override;
  torch::Tensor align(const torch::Tensor& per_observation) const override;

 private:
  torch::Tensor compute_log_prob(const torch::Tensor& y) const override;
  torch::Tensor compute_score(const torch::Tensor& y) const override;
  /// ½ Σ (e - log(1 + e)) over the eigenvalues e of Σ Σ'⁻¹ - I, and half the means' distance in
  /// Σ'⁻¹.
  torch::Tensor compute_kl(const Likelihood& other) const override;

  struct Moments {
    torch::Tensor mean;        ///< μ, [N, D]
    torch::Tensor covariance;  ///< Σ, [N, D, D]
    torch::Tensor factor;      ///< C upper triangular, Σ = C Cᵀ
  };
  /// Without a graph.
  const Moments& moments() const;
  Moments make_moments() const;

  int64_t size_;  // D
  detail::OfOutputs<Moments> moments_;
};

}  // namespace natgrad
