#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

namespace natgrad {

/// θ ← θ + r α (δ + ½a), the solution bent along the geodesic of the model's manifold (Transtrum &
/// Sethna 2012, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares
/// minimization"):
///
///     a = (RᵀR + λD)⁻¹ Rᵀ t_δδ,    t_δδ = 2/ε ((t(θ + εδ) - t)/ε + Rδ),
///
/// the second derivative of the residuals t along δ by one forward pass (ε = 0.1). Where the bend
/// is large, 2‖a‖ > `limit`·‖δ‖ in the norm of D, the model of first order does not hold along δ:
/// the step is rejected without a trial, and the damping takes note. In narrow curved valleys, as
/// of physics-informed losses and sums of exponentials, a third of the steps are left.
///
/// For losses of squared errors whose system is solved by rows around zero (`FisherRows`, `QR`);
/// elsewhere, and with a `limit` of 0, it is `LearningRate()`. Needs a closure. Costs a forward
/// pass and another solve with the same R.
class NATGRAD_EXPORT GeodesicAcceleration final : public StepRule {
 public:
  /// ≥ 0; 0.75 is the source's.
  TORCH_ARG(double, limit) = 0.75;

 public:
  Step choose(const StepProblem& problem) override;
  bool needs_trials() const override { return true; }
  bool needs_gradient() const override { return false; }
  bool takes_centred_solution() const override { return false; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;
};

}  // namespace natgrad
