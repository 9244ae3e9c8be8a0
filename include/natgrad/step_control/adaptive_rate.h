#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

#include <optional>

namespace natgrad {

/// A learning rate that follows the loss (Amari 1998, section 5):
///
///     θ ← θ + η r α_group δ,    η ← η exp{α [β (h(θ) - h_min) - η]},
///
/// with h before the step. Far from the minimum steps are long, near it short, and they grow again
/// where the data change.
///
/// For h - h_min = ½ (θ - θ*)ᵀF(θ - θ*) and α > 2 the averaged equations dη/dt = αη(βh - η) and
/// dh/dt = -2ηh have the solution η = 1/(2t), h - h_min = (½ - 1/α)/(βt), the best order in t there
/// is. At a constant h, η tends to β (h - h_min): without overshoot where αβ (h - h_min) ≤ 1, and
/// not at all above 2, where it cycles.
///
/// Sources differ in two points. Amari has the loss itself, which is h - h_min where a model can
/// reach 0: h_min = 0 is the default. Murata, Müller, Ziehe & Amari (1996, "Adaptive on-line
/// learning in changing environments"), after Sompolinsky, Barkai & Seung (1995), subtract an
/// estimate of the least loss, and have the same to first order, η ← η + αη [β (h - h_min) - η],
/// where a large loss can lead to an η < 0.
///
/// However large or small h is, 0 < η ≤ largest; h < h_min counts as h_min.
class NATGRAD_EXPORT AdaptiveRate final : public StepRule {
 public:
  /// η of the first step, in (0, largest].
  TORCH_ARG(double, initial) = 0.1;
  /// α > 0: how fast η follows, per step and η.
  TORCH_ARG(double, alpha) = 4;
  /// β > 0: the η for a loss of one above the least, in 1/units of h.
  TORCH_ARG(double, beta) = 0.1;
  /// h_min.
  TORCH_ARG(double, least_loss) = 0;
  /// η is never above, > 0 and finite.
  TORCH_ARG(double, largest) = 1;

 public:
  Step choose(const StepProblem& problem) override;
  bool needs_gradient() const override { return false; }
  /// η of the next step.
  std::vector<double> state() const override { return {rate()}; }
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;

 private:
  double rate() const { return rate_.value_or(initial_); }
  double next_rate(double loss) const;
  void check_options() const;

  std::optional<double> rate_;
};

}  // namespace natgrad
