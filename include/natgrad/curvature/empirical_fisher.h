#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>

#include <vector>

namespace natgrad {

/// Whether the mean is taken off the gradients.
enum class Moment {
  Uncentred,  ///< E[g gᵀ]
  Centred     ///< the covariance, E[g gᵀ] - E[g] E[g]ᵀ
};

/// What targets that are a distribution q(y|x) count as: soft labels, smoothed ones, shares.
enum class SoftTargets {
  Mean,         ///< one gradient an example, its mean under q: E_q[g] E_q[g]ᵀ
  Distribution  ///< the second moment under q, E_q[g gᵀ] = E_q[g] E_q[g]ᵀ + Cov_q[g]
};

/// The empirical Fisher matrix (Martens, "New perspectives", section 7)
///
///     F̄ = Σ sᵢ gᵢ gᵢᵀ,  gᵢ = ∇_θ L(yᵢ, f(xᵢ, θ)),
///
/// with the examples' own targets: no Fisher matrix, but the uncentred second moment of their
/// gradients, of rank at most N; or their covariance, F̄ - (Σ sᵢ gᵢ)(Σ sᵢ gᵢ)ᵀ/Σs. It needs no
/// probabilistic model. s are the examples' weights in the loss (the mean over an example's
/// observations that count), or 1/N for a loss of the user's own. With `Uniform` weights the sum
/// takes 1/N, and gᵢ stays the gradient of -log r, whatever the loss weighs it with.
///
/// Of targets that are a distribution q(y|x) (soft labels) gᵢ is the mean over it. The paper's
/// expectation over a known q is the second moment instead, `SoftTargets::Distribution`: with
/// softmax
///
///     E_q[(e_y - p)(e_y - p)ᵀ] = (q - p)(q - p)ᵀ + diag q - q qᵀ
///
/// between the Jacobians, and F itself where q = p. q is read off the graph, for softmax and
/// Bernoulli outputs; observations of one example count as independent under it. Targets of other
/// families are points, for which the two are one.
///
/// A product costs one J v and one Jᵀu (vᵢ = gᵢ·v comes from J v), and no gradient of a single
/// example is formed. For a loss that cannot be read the gradients
/// of all examples are formed by `per_example_gradients`, N P numbers.
///
/// Throws `c10::Error` where an example has no gradient of its own, as with BatchNorm in training
/// mode, and for negative weights of the loss.
NATGRAD_EXPORT LinearOperator empirical_fisher(const LossGraph& graph,
                                               Moment moment = Moment::Uncentred,
                                               FisherWeights weights = FisherWeights::OfTheLoss,
                                               SoftTargets soft_targets = SoftTargets::Mean);

/// One of the targets that q(y|x) gives a probability.
struct NATGRAD_EXPORT WeightedTargets {
  torch::Tensor y;            ///< one target for each observation, as the likelihood takes them
  torch::Tensor probability;  ///< q(yᵢ|xᵢ) of each example's, [N], or one number for all
};

/// The empirical Fisher matrix over a known q(y|x) that has finitely many points, or is known by
/// draws from it (then of equal probability), for any likelihood:
///
///     F̄ = Σ sᵢ Σₖ q(yₖ|xᵢ) gᵢₖ gᵢₖᵀ,  gᵢₖ = -∇_θ log r(yₖ|f(xᵢ, θ)),
///
/// whatever targets the loss itself has. A product costs one J v and one Jᵀu, whatever the number
/// of points is. Throws `c10::Error` as above, unless the loss has one term with a likelihood, for
/// targets that it does not take, and for probabilities that are negative or do not sum to one.
NATGRAD_EXPORT LinearOperator empirical_fisher(const LossGraph& graph,
                                               const std::vector<WeightedTargets>& q,
                                               FisherWeights weights = FisherWeights::OfTheLoss);

/// `empirical_fisher` as an option of the optimizer.
class NATGRAD_EXPORT EmpiricalFisher final : public Curvature {
 public:
  /// Whether the mean is taken off.
  TORCH_ARG(Moment, moment) = Moment::Uncentred;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;
  /// What probabilities as targets mean.
  TORCH_ARG(SoftTargets, soft_targets) = SoftTargets::Mean;

 public:
  /// The noise of a loss that cannot be read is its rows' ‖·‖²/N, exactly.
  CurvatureAt at(const LossGraph& graph) const override;
  bool needs_terms() const override { return false; }
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;
};

/// √sᵢ gᵢ (less √sᵢ times their mean, if centred) as rows, [N, P]: F̄ is their RᵀR. Forms the
/// gradients of all examples.
NATGRAD_EXPORT torch::Tensor empirical_fisher_rows(
    const LossGraph& graph, Moment moment = Moment::Uncentred,
    FisherWeights weights = FisherWeights::OfTheLoss);

}  // namespace natgrad
