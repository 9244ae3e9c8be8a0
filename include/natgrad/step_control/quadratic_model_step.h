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
  /// Whether C is that of all examples of the gradient also where d was made with that of fewer:
  /// with less than the parameters have numbers, A may be nearly zero along what g asks for.
  TORCH_ARG(bool, whole_batch) = false;
  /// Whether the length of δ is fitted to the loss itself, which ends every step no higher than it
  /// began. Where the parabola of h, its slope gᵀδ and h(θ + δ) has its minimum at t < 1, the
  /// step is t δ. A forward pass, and mostly a second one where t < 1; needs a closure.
  TORCH_ARG(bool, fitted) = false;

 public:
  Step choose(const StepProblem& problem) override;
  bool keeps_displacement() const override { return momentum_; }
  bool needs_whole_matrix() const override { return whole_batch_; }
  bool needs_trials() const override { return fitted_; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;

 private:
  void fit_length(const StepProblem& problem, Step& step);
};

}  // namespace natgrad
