#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// The covariance of the examples' gradients in the form of TONGA (Le Roux, Manzagol & Bengio
/// 2007): the empirical Fisher matrix kept as its rows, so that the damped system
///
///     (F̄ + λI) δ = -∇h
///
/// is solved exactly, by the identity of Woodbury, through a Gram matrix of [N, N]; the solver's
/// settings do not matter then. λ > 0 is needed: `Tikhonov(λ)` or the default. With weight decay or
/// penalties the sum's inverse is not known, and the solver is asked.
///
/// Of this batch alone; with the discounted covariance of the batches before, as TONGA is for
/// on-line learning, it is a preconditioner that keeps it: `LowRank` with a `decay` (low_rank.h).
///
/// Costs the gradients of all examples, [N, P], and N² P multiply-adds once, then N³/6 + 2 N P a
/// solve. Throws as `empirical_fisher_rows` does.
class NATGRAD_EXPORT Tonga final : public Curvature {
 public:
  /// `Centred` for the covariance proper.
  TORCH_ARG(Moment, moment) = Moment::Uncentred;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;
  /// Keeps the leading eigenvectors only, so many; 0 for all.
  TORCH_ARG(int64_t, rank) = 0;

 public:
  CurvatureAt at(const LossGraph& graph) const override;
  bool needs_terms() const override { return false; }
  std::string describe() const override;
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
