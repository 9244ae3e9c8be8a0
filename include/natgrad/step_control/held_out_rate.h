#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

#include <vector>

namespace natgrad {

/// The default: a step size that needs no tuning, from what each new batch, held out from the steps
/// before it, says of them. Of the centred steps of `Proximal`,
///
///     θ ← θ + α δ,  α = P (1 - μ)  (at most `largest`),
///
/// where P is how far steps that agree lead: the rate of a plain gradient step in units of the
/// natural gradient's. Batches whose noise decides want P ≈ 2 to 5, those that can be fitted at
/// once 6 to 30. On a batch with the model M(v) = h + ∇hᵀv + ½ vᵀC v, which δ_prev has not seen,
///
///     nᵥ = -∇hᵀv,  dᵥ = vᵀC v:  nᵥ/dᵥ is how far along v its model still wants to go.
///
/// - v = δ_prev. A model that still wants all of it, n/d near 1, lets P grow up to ninefold; a step
///   whose promise turns into a rise, w = (d - 2n)/p > 1.1 with p = -∇hᵀ(δ - μ δ_prev) what the
///   next step promises, makes it shorter by (1.1/w)³; beyond w = 2 the δ that the next goes on
///   from is scaled by √(2/w).
/// - v = θ̄ - θ, with θ̄ a running mean of the iterates, which is better than they are where noise
///   keeps them from the minimum: from step 50 on P shrinks by e^(-6x/(t+60)) a step, with
///   x = (n - D d)/(|n| + d), and grows where x < 0, the slower the smaller d/p is. D = 0.45 for
///   short steps (w below 0.9), 0 from 1.05 on.
///
/// So that it cannot run away where the model is far off (saturated outputs, counts in the
/// thousands from a zero bias, inputs in the thousands), the outputs' own moves J(αδ) are looked at
/// in the first 20 steps, then with every 25th and whenever a longer step could do harm: if one is
/// above a unit, and the losses that rise at z + J(αδ) rise by 1/4 on average, α and δ are divided
/// by the largest move (`OutputMove`).
///
/// All are running means. P = 2t/(t + 30) in the first steps, and 30 at most. Costs a product R v,
/// or half a product with C, a step, and one more every fourth; θ̄ - θ is kept with the optimizer's
/// state.
///
/// Of a batch in chunks the outputs are not looked at.
///
/// `lr` multiplies α, in units of its default 0.1; groups should have it alike, as n, d and p are
/// of the step of all. Without a centre (other dampings, μ = 0) the step is r α δ with the fixed
/// rate α = lr, as of `LearningRate`.
class NATGRAD_EXPORT HeldOutRate final : public StepRule {
 public:
  /// α at most, > 0.
  TORCH_ARG(double, largest) = 0.5;

 public:
  Step choose(const StepProblem& problem) override;
  void shorten(Step& step, double share) const override;
  bool needs_gradient() const override { return false; }
  bool keeps_memory() const override { return true; }
  /// The number of steps, the growth of P as a logarithm, the running means, and the last look at
  /// the outputs; empty before the first step.
  std::vector<double> state() const override;
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;

 private:
  /// n, d and p, as above.
  struct Along {
    double wanted = 0, curvature = 0;
    void follow(const Along& now, double weight);
  };
  struct Means : Along {
    double promise = 0;
    void follow(const Means& now, double weight);
    double worsening() const;  // w
  };
  void observe(const StepProblem& problem);
  double product();
  void grow();
  /// Shortens the step if its outputs go too far.
  void keep_outputs_near(const StepProblem& problem, Step& step);

  double steps_ = 0;
  Means recent_, long_;  // of δ_prev
  Along average_;        // of θ̄ - θ
  double log_growth_ = 0;
  double looked_at_ = 0;        // the step at which outputs were last looked at
  double rise_per_square_ = 0;  // what was seen then, over the squared length of the step
};

}  // namespace natgrad
