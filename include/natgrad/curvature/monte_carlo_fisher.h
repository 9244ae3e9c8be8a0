#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// An unbiased estimate of the Fisher matrix by k targets drawn from the model for each example
/// (Schraudolph 2002; for section 8 of Martens, "New perspectives"),
///
///     F̂ = (1/k) Σⱼ Σᵢ γᵢⱼ γᵢⱼᵀ,  γᵢⱼ = √sᵢ Jᵢᵀ ∇_z log r(yᵢⱼ|zᵢ),  yᵢⱼ ~ r(·|zᵢ),
///
/// positive semi-definite, of rank at most k N times the number of heads, each of which draws for
/// itself, with a relative error that falls as 1/√(k N). The targets are drawn here and stay: F̂ is
/// one matrix.
///
/// A product costs one J v and one Jᵀu whatever k is. Throws `c10::Error` as `fisher` does, for
/// `samples` < 1, and for negative weights.
NATGRAD_EXPORT LinearOperator monte_carlo_fisher(const LossGraph& graph, int64_t samples,
                                                 at::Generator generator,
                                                 FisherWeights weights = FisherWeights::OfTheLoss);

/// `monte_carlo_fisher` as an option of the optimizer; each step draws anew.
class NATGRAD_EXPORT MonteCarloFisher final : public Curvature {
 public:
  /// With k = `samples`.
  explicit MonteCarloFisher(int64_t samples = 1) : samples_(samples) {}
  /// k, the targets drawn for an example, at least 1.
  TORCH_ARG(int64_t, samples);
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;

 public:
  CurvatureAt at(const LossGraph& graph) const override;
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
