#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>

namespace natgrad {

/// θ ← θ + r α δ with the step of given divergence (note on natural gradients; Martens, section 6),
///
///     δ = -√(2c / gᵀF⁻¹g) F⁻¹g,    ½ δᵀF δ = c,
///
/// F⁻¹g being the solver's solution of F x = -g with the other sign: see `kl_constrained_step`. It
/// does not change with the size of g.
///
/// F here is the damped matrix C + λD, so ½ δᵀC δ ≤ c, and = c as λ → 0: with a C that is the
/// Fisher matrix of the loss's average, the KL divergence by which δ moves the model's
/// distribution, in nats an example, to second order. The divergence itself may be larger: at c =
/// 0.01 twice c was seen with a softmax, and with a nearly singular, undamped F hundreds of times;
/// it tends to c as c → 0, with an error of order √c. `NaturalGradientOptions::measure` tells it. A
/// learning rate α < 1 takes α² of it.
///
/// The system must be F x = -g itself: a damping without a centre (`Tikhonov`, not `Proximal` with
/// its momentum) and no warm start of an inexact solver, or x is not in the direction of F⁻¹g and δ
/// has another divergence. Where gᵀx ≥ 0, which cannot be for a positive definite F, and where x is
/// not finite, nothing is `found` and the displacement is 0. g = 0 is no step.
class NATGRAD_EXPORT KLConstrained final : public StepRule {
 public:
  /// c > 0, in nats.
  explicit KLConstrained(double c);

  Step choose(const StepProblem& problem) override;
  bool takes_centred_solution() const override { return false; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;

 private:
  double c_;
};

}  // namespace natgrad
