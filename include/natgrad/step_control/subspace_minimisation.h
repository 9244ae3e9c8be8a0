#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>
#include <torch/arg.h>

namespace natgrad {

/// Krylov subspace descent's inner optimisation (Vinyals & Povey 2012, algorithm 1): the minimum of
/// the loss itself, not of its model, over the subspace that the solver has built,
///
///     min_a h(θ + V a),
///
/// on the trial batch, by BFGS from a = 0 in coordinates in which the model is round: a = L⁻ᵀu with
/// L Lᵀ = Ĥ, the matrix VᵀA V with its eigenvalues floored at ε times the largest
/// (`floor_eigenvalues`; the identity for a matrix without a positive one). This floor is the
/// method's own damping. BFGS is `torch::optim::LBFGS` with a history of the whole subspace and its
/// search for the strong Wolfe conditions.
///
/// The first trial is the minimiser of the floored model with the trial batch's own gradient, and
/// the best of all trials is taken: the loss never ends above the model's minimiser, nor above the
/// start. A trial whose loss or gradient is not finite counts as no better than the start. Where a
/// search ends with nothing below the start, as for a model that is far too flat, the next one
/// begins a million times nearer to it.
///
/// The displacement d is r α times the best V a, which is the proposal. With rates other than 1 it
/// is tried as well, and where h(θ + d) > h(θ) (part of the way to a low point may be uphill) the
/// best V a before that is taken, and so on. d is also kept, and is the previous direction of the
/// next subspace. `found` is false, and the displacement zero, where none ends no higher than h(θ),
/// or the subspace is empty.
///
/// Cost: one forward and one backward pass a trial, and two products with V of [P, m]; with rates
/// other than 1 one more forward pass. `choose`
/// throws `c10::Error` without trial losses or a basis; `clone` and `choose` for settings out of
/// range.
class NATGRAD_EXPORT SubspaceMinimisation final : public StepRule {
 public:
  /// ε in (0, 1]; Vinyals & Povey take 1e-4. The dtype's rounding is the least.
  TORCH_ARG(double, floor) = 1e-4;
  /// Iterations of BFGS at most, ≥ 1.
  TORCH_ARG(int64_t, max_iterations) = 30;
  /// No iteration begins after as many trials, ≥ 1; the last one's own search may take up to 25.
  TORCH_ARG(int64_t, max_evaluations) = 60;

 public:
  Step choose(const StepProblem& problem) override;
  bool needs_trials() const override { return true; }
  bool needs_basis() const override { return true; }
  bool keeps_displacement() const override { return true; }
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;
};

}  // namespace natgrad
