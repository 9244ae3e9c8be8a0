#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace natgrad {

/// What a step did with the parameters.
enum class StepOutcome {
  NotStepped,         ///< before the first step
  Accepted,           ///< θ moved
  BelowRounding,      ///< accepted, but less than the rounding of every parameter: θ is the same
  ZeroGradient,       ///< ∇h = 0: nothing to do
  NonFiniteLoss,      ///< the loss is NaN or infinite
  NonFiniteGradient,  ///< the loss is finite, its gradient is not
  SolverFailed,       ///< no usable solution; `solver.termination` says why
  Rejected,           ///< no step was found that is better: θ stays, the damping takes note
  DampingExhausted,   ///< the same, and the damping can become no stronger
};

/// "Accepted", "ZeroGradient", ...
NATGRAD_EXPORT const char* to_string(StepOutcome outcome);

/// The report of one step. Unless it was accepted, the parameters are as they were before it; or,
/// if `restored`, as they were before the step that led to this loss.
struct NATGRAD_EXPORT StepSummary {
  /// What became of θ.
  StepOutcome outcome = StepOutcome::NotStepped;
  bool restored = false;      ///< the previous step was taken back
  int64_t step = 0;           ///< accepted steps so far
  double loss = 0;            ///< h(θ) before the step, weight decay not included
  double gradient_norm = 0;   ///< ‖∇h‖, weight decay included
  double gradient_share = 1;  ///< of ∇h that the step took, under `max_gradient_norm`
  double lambda = 0;          ///< λ of the system
  /// How many examples λ takes the batch to have, where λ is measured (see
  /// `NaturalGradientOptions::examples`).
  std::optional<double> examples = std::nullopt;
  /// How they were counted, where the loss has several outputs: "4 outputs with 4 inputs of
  /// their own", or "as told".
  std::string examples_basis = {};
  double radius = std::numeric_limits<double>::infinity();  ///< Δ, if the damping has one
  /// How many of the loss's weights s are negative (as in a policy gradient): Gauss-Newton, and
  /// Fisher with these weights, may then be indefinite.
  int64_t negative_weights = 0;
  double step_norm = 0;  ///< how far θ moved
  /// The share of the step that was taken, below 1 where outputs would have moved so far that the
  /// model holds no longer (`HeldOutRate`).
  double shortening = 1;
  double step_share = 1;  ///< of the step that was taken, under `max_step_norm`
  /// The same after a step that was taken back, of which the loss was not finite: a quarter of the
  /// share before it, and twice as much after every step that is accepted.
  double caution = 1;
  /// ρ, the decrease of h over the one that the model promised, where the damping asked for it.
  std::optional<double> ratio = std::nullopt;
  /// h after the step on the trial batch, where it was measured: weight decay included, negated
  /// under `maximize`.
  std::optional<double> trial_loss = std::nullopt;
  /// By how much an accepted step lowered that.
  std::optional<double> decrease = std::nullopt;
  SolverSummary solver;  ///< what the solve did
  /// Which matrix the default curvature took, and why: "score rows", or "the exact matrix; no score
  /// rows: the loss has 2 terms". Empty where there was nothing to choose.
  std::string curvature = {};
  /// The share of the parameters, in [0, 1], that lie in layers (linear ones, convolutions,
  /// normalisations) found in the graph, where something looked for layers (Kronecker factors,
  /// gradients of single examples, the choice of the dual): the last time that it did.
  std::optional<double> layer_coverage = std::nullopt;
  /// What is slower or coarser than it could be, a sentence each: Kronecker factors that are a
  /// diagonal where no layer was recognised, which names the ops that stand there (a scripted
  /// module hides its layers); a loss that was not read. Each is a LibTorch warning when first met.
  std::vector<std::string> degradations = {};
  /// How far the model's distribution moved, in nats: the mean over the examples of KL(p(θ) ‖ p(θ +
  /// δ)), whatever the loss's factor and weights are, where `NaturalGradientOptions::measure` asked
  /// for it.
  std::optional<double> nats = std::nullopt;
  /// Of the bound on what any step can gain by the model (Martens, "New perspectives", section 11),
  /// the share that this step promised; where `measure` asked for it.
  std::optional<double> bound_share = std::nullopt;
  /// What `nats` are: "after the step", the divergence itself, or "to second order", ½ δᵀFδ; where
  /// there are none, why.
  std::string nats_basis = {};
  /// The first parameter that holds NaN or infinity, where the loss is not finite; -1 without one.
  int64_t faulty_parameter = -1;

  /// One line for a log: what was computed, for a step that was not accepted what to look for, and
  /// of each degradation the first line.
  std::string message() const;

 private:
  std::string outcome_text() const;
};

}  // namespace natgrad
