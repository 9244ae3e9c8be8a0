#pragma once

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/export.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <torch/arg.h>

namespace natgrad {

/// M = diag(d + λ)^-ξ with the diagonal of the empirical Fisher matrix, d = Σ sᵢ gᵢ² (Martens 2010,
/// section 4.7): ξ = 0.75 rather than 1, since a batch's d is rough, and too small a d must not
/// make too long a step.
///
/// Batch normalisation in training mode leaves no example a gradient of its own: there d is the
/// diagonal of the Fisher matrix, by 16 draws, where the loss has one.
///
/// Takes any loss with examples. Costs what `empirical_fisher_diagonal` does, and throws as that
/// does.
class NATGRAD_EXPORT FisherDiagonal final : public Preconditioner {
 public:
  /// ξ, in (0, 1].
  TORCH_ARG(double, exponent) = 0.75;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;

 public:
  LinearOperator at(const LossGraph& graph, double lambda) const override;
  bool approximates_inverse() const override { return exponent_ == 1; }
  std::string describe() const override;
  std::unique_ptr<Preconditioner> clone() const override;
};

}  // namespace natgrad
