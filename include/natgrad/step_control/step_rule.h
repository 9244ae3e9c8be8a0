#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/solvers/solver.h>
#include <natgrad/step_control/output_move.h>
#include <natgrad/step_control/quadratic_model.h>
#include <natgrad/step_control/trial_losses.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace natgrad {

/// Damped least squares min ½‖t - R x‖² + ½σ‖d∘x‖² that δ solves, where it was solved by rows.
struct NATGRAD_EXPORT RowSystem {
  torch::Tensor targets;  ///< t, [r]
  torch::Tensor scales;   ///< d, [P]; undefined: 1
  /// x for another t.
  std::function<torch::Tensor(const torch::Tensor& t)> solve;
};

/// What a step is chosen from: the quadratic model M(δ) = h + gᵀδ + ½ δᵀCδ, and what the solver
/// made of it.
struct NATGRAD_EXPORT StepProblem {
  double loss;  ///< h(θ), as it is minimised
  /// g = ∇h, [P]; may be undefined for a rule that does not need it.
  const torch::Tensor& gradient;
  const LinearOperator& matrix;  ///< C + λD, with what is added for damping
  const Solution& solution;      ///< δ
  torch::Tensor previous;        ///< what the last step kept, [P]; undefined if there is none
  /// v ↦ r α v: the learning rate of each parameter's group, times the damping's own.
  std::function<torch::Tensor(const torch::Tensor& v)> at_rate;
  const QuadraticModel& model;  ///< M without damping
  /// What a displacement does to the outputs: about a forward pass, and with the first of a step a
  /// backward pass. Null where nobody can tell; all zero where moves have no measure.
  std::function<OutputMove(const torch::Tensor& v)> outputs = nullptr;
  TrialLosses* trials = nullptr;  ///< null where a step has no closure
  double centre = 0;  ///< μ, where δ solves a system centred on μ times the last solution
  double rate = 1;    ///< r
  /// A second vector that the rule goes on from, [P], as `Step::memory` was left, with zero for
  /// parameters that are new; undefined at first.
  torch::Tensor memory = {};
  const RowSystem* rows = nullptr;  ///< null where δ was not solved by rows, or around another x
};

/// What a rule has chosen.
struct NATGRAD_EXPORT Step {
  torch::Tensor displacement;  ///< θ moves by it, [P]
  torch::Tensor kept;          ///< the next step's `previous`, [P]
  /// The displacement that tells how good the model is, where that is not `displacement` itself (as
  /// before a line search has shortened it), and h there.
  torch::Tensor proposal = {};
  std::optional<double> proposal_loss = std::nullopt;  ///< h(θ + proposal), where it was measured
  /// h(θ + displacement), where it was measured. For a rule that needs trials and leaves it out the
  /// optimizer measures it; a step that rises is rejected.
  std::optional<double> loss = std::nullopt;
  bool found = true;          ///< false: trials were made, and none was good enough
  torch::Tensor memory = {};  ///< the next step's `memory`, [P], if the rule keeps one
  double shortening = 1;      ///< by how much less it goes than it would, for the outputs' sake
  /// The displacement of which the model promises the decrease that ρ compares with, where it is
  /// not the proposal: of a step that is bent, the straight one.
  torch::Tensor promised = {};
};

/// How far to go along the solution of the damped system, or where to in what the solver has seen
/// on its way.
///
/// A rule is a value. What it learns from step to step changes in `choose` alone, so a step works
/// on a `clone()` and keeps it if the step is accepted.
class NATGRAD_EXPORT StepRule {
 public:
  virtual ~StepRule() = default;
  /// Chooses the step, and learns what its next choice depends on.
  virtual Step choose(const StepProblem& problem) = 0;
  /// Makes of a step that it has chosen one of this share of its length, with what it keeps, where
  /// the optimizer's `max_step_norm` is less.
  virtual void shorten(Step& step, double share) const;

  /// Whether it evaluates trial points: `step` then needs a closure.
  virtual bool needs_trials() const { return false; }
  /// Whether it looks at `gradient`, or multiplies by `matrix`. Of a rule that says no the step may
  /// be found without either.
  virtual bool needs_gradient() const { return true; }
  /// Whether its `matrix` and `model` are to be of all examples of the gradient, also where the
  /// solution was made with the curvature of fewer (`Batches`, `curvature_chunks`).
  virtual bool needs_whole_matrix() const { return false; }
  /// What it needs from the solver, apart from a solution.
  virtual bool needs_basis() const { return false; }
  /// Whether it goes on from a `memory`.
  virtual bool keeps_memory() const { return false; }
  /// Whether `previous` is to be the last displacement for it to be of use: then it is no warm
  /// start for a solver.
  virtual bool keeps_displacement() const { return false; }
  /// Whether it takes a δ that solves a system centred on the last step; if not, δ = -A⁻¹g.
  virtual bool takes_centred_solution() const { return !keeps_displacement(); }

  /// What it has learnt from the steps so far, to continue from later.
  virtual std::vector<double> state() const { return {}; }
  /// Takes up a state that `state` gave. Throws `c10::Error` if it is another rule's.
  virtual void set_state(const std::vector<double>& state);

  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, state included.
  virtual std::unique_ptr<StepRule> clone() const = 0;
};

}  // namespace natgrad
