#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>
#include <torch/arg.h>

namespace natgrad {

struct LossTerm;

/// What the examples weigh in the Fisher matrix.
enum class FisherWeights {
  OfTheLoss,  ///< s as in the loss: 1/N for a mean over N, the class weights, ...
  Uniform     ///< 1/N: the metric of the model's own distribution, whatever the objective is
};

/// The Fisher information matrix of the model's own distribution (Amari 1998; Martens, sections 4,
/// 5, 8; Park et al. 2000)
///
///     F = Σ sᵢ Jᵢᵀ F_R Jᵢ,
///
/// F_R the Fisher matrix of r(y|z) in closed form and s the terms' weights. As a stand-in for the
/// Hessian it was proposed by Heskes (2000); with softmax, Bernoulli and Gaussian outputs it is the
/// GGN (Pascanu & Bengio 2014; gauss_newton.h). It knows no loss: F_R comes from the likelihood
/// alone. An objective of the user's own whose outputs' distribution is
/// named, natgrad::outputs(natgrad::Categorical(z)), has no s: it takes 1/N. Uniform weights are
/// positive also where the loss's are not, as under a policy gradient's advantages.
///
/// Products cost what Gauss-Newton's do. Throws `c10::Error` if the distribution of some outputs is
/// not known (a loss marked by `natgrad::outputs(z)`).
NATGRAD_EXPORT LinearOperator fisher(const LossGraph& graph,
                                     FisherWeights weights = FisherWeights::OfTheLoss);

/// The weights s of a term under that choice, broadcastable to its z.
NATGRAD_EXPORT torch::Tensor weights_of(const LossTerm& term, FisherWeights weights);

/// Whether the distribution of all outputs is known, so that `fisher` can be formed.
NATGRAD_EXPORT bool has_fisher(const LossGraph& graph);
/// Throws `c10::Error` if it is not.
NATGRAD_EXPORT void check_has_fisher(const LossGraph& graph);

/// `fisher` as an option of the optimizer.
class NATGRAD_EXPORT Fisher final : public Curvature {
 public:
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;

 public:
  CurvatureAt at(const LossGraph& graph) const override;
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
