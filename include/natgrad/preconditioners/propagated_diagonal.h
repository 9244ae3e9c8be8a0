#pragma once

#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>
#include <natgrad/preconditioners/preconditioner.h>
#include <torch/arg.h>

namespace natgrad {

/// M = diag(d + λ)^-ξ with an unbiased estimate d of the diagonal of the curvature itself, by
/// curvature propagation (Chapelle & Erhan 2011; Martens, Sutskever & Swersky 2012): of the Fisher
/// matrix where the outputs' distribution is known, else of Gauss-Newton (then without what falls
/// below zero).
///
/// A draw's entry is off by up to √2 of itself, the mean of k draws by √(2/k): that is what the
/// exponent and a few probes are for. Costs `probes` backward passes, and the memory of one.
class NATGRAD_EXPORT PropagatedDiagonal final : public Preconditioner {
 public:
  /// ξ, in (0, 1].
  TORCH_ARG(double, exponent) = 0.75;
  /// k ≥ 1.
  TORCH_ARG(int64_t, probes) = 8;
  /// What the examples weigh.
  TORCH_ARG(FisherWeights, weights) = FisherWeights::OfTheLoss;

 public:
  LinearOperator at(const LossGraph& graph, double lambda) const override;
  bool approximates_inverse() const override { return exponent_ == 1; }
  std::string describe() const override;
  std::unique_ptr<Preconditioner> clone() const override;
};

}  // namespace natgrad
