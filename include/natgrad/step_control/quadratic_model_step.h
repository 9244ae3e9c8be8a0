#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

namespace natgrad {

/// Rate and momentum by the quadratic model (Martens & Grosse 2015, sections 6.4 and 7): with the
/// solution d, of an approximate inverse as well, and the last displacement p,
///
///     (a, μ) = argmin gᵀδ + ½ δᵀA δ over δ = a d + μ p,
///
///     ⎡dᵀAd  dᵀAp⎤ ⎡a⎤     ⎡gᵀd⎤
///     ⎣dᵀAp  pᵀAp⎦ ⎣μ⎦ = - ⎣gᵀp⎦,     θ ← θ + r α (a d + μ p),
///
/// A = C + λD with exact products of the curvature, in double. The lengths of d and p do not
/// matter.
///
/// p is left out if momentum is off, in a first step, and where what p adds to d has less than 100
/// roundings of its own curvature, pᵀAp - (dᵀAp)²/dᵀAd < 100 ε pᵀAp: p and d are parallel, or M has
/// no minimum on their plane. Where dᵀAd ≤ 0 or something is not finite M has no minimum along d:
/// then nothing is `found` and the displacement is 0, and the next step has no momentum. d = 0 is
/// no step.
///
/// Cost: J d, and J p where there is a p (half a product each; `LinearOperator::inner`).
class NATGRAD_EXPORT QuadraticModelStep final : public StepRule {
 public:
  /// Whether p is a direction too; else d is rescaled only.
  TORCH_ARG(bool, momentum) = true;

 public:
  Step choose(const StepProblem& problem) override;
  bool keeps_displacement() const override { return momentum_; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;
};

}  // namespace natgrad
