#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

namespace natgrad {

/// Hessian-free optimization's line search (Martens 2010, section 4.6; Martens & Sutskever 2012,
/// section 8), on the trial batch's h and at the learning rate: d_k is r α times the solver's k-th
/// snapshot.
///
/// 1. Backtracking through conjugate gradients: from the solution back to ever earlier snapshots,
/// as
///    long as h(θ + d_k) falls. An earlier iterate is a more damped step. The best one, d, is the
///    proposal, by which the model is judged.
/// 2. Armijo's rule: the largest β of 1, 0.8, 0.8², ... with
///
///        h(θ + β d) ≤ h(θ) + 1e-2 β gᵀd,
///
///    to the rounding of h.
///
/// θ moves by β d. `kept` is the solution itself, the next warm start, as in Martens' method. A
/// trial loss that is not finite counts as +∞: it ends neither search.
///
/// `found` is false, and the displacement zero, where no β is good enough; or, without any trial,
/// where the solution is no direction of descent, gᵀd ≥ 0.
///
/// Cost: h(θ), one forward pass a snapshot looked at and a β tried. `choose` throws `c10::Error`
/// without trial losses; `clone` and `choose` for settings out of range.
class NATGRAD_EXPORT LineSearch final : public StepRule {
 public:
  /// By which β shrinks, in (0, 1).
  TORCH_ARG(double, shrink) = 0.8;
  /// The share of the linear model's decrease that is asked for, in (0, 1).
  TORCH_ARG(double, sufficient_decrease) = 1e-2;
  /// Values of β at most, ≥ 1.
  TORCH_ARG(int64_t, max_trials) = 60;
  /// Whether snapshots are gone through; without them the solution is the proposal.
  TORCH_ARG(bool, backtrack) = true;

 public:
  Step choose(const StepProblem& problem) override;
  bool needs_trials() const override { return true; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;
};

}  // namespace natgrad
