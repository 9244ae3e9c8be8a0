#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <torch/arg.h>

namespace natgrad {

/// M = (RᵀR + λI)⁻¹ with the rows R of the empirical Fisher matrix, or its leading eigenvectors
/// (Le Roux, Manzagol & Bengio 2007), by the identity of Woodbury on their Gram matrix:
///
///     M v = (v - Rᵀ(RRᵀ + λI)⁻¹ R v)/λ.
///
/// Takes any loss with examples. Costs the gradients of all examples, [N, P], 2 N² P operations and
/// a Cholesky factorisation of [N, N] once, then 4 N P a product. Throws as
/// `empirical_fisher_rows` does, and for a rank below 0.
class NATGRAD_EXPORT LowRank final : public Preconditioner {
 public:
  /// Keeps the leading eigenvectors only, so many; 0 for all.
  TORCH_ARG(int64_t, rank) = 0;
  /// `Centred` for the covariance proper.
  TORCH_ARG(Moment, moment) = Moment::Uncentred;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;

 public:
  LinearOperator at(const LossGraph& graph, double lambda) const override;
  std::string describe() const override;
  std::unique_ptr<Preconditioner> clone() const override;
};

}  // namespace natgrad
