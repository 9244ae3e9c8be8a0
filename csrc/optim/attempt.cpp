// One try of a step: solve, choose how far, judge.

#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "linalg/norm.h"
#include "optim/natural_gradient_impl.h"
#include "optim/output_moves.h"
#include "solvers/in_range.h"
#include "solvers/known_inverse.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// That of C + λD, with weight decay in C, after it has learnt from this batch.
LinearOperator precondition(Preconditioner& preconditioner, const StepData& data, double lambda) {
  const auto& w = data.h().weight_decay();
  const auto& graph = data.of_curvature().graph();
  const double shift = lambda + (w.defined() ? w.mean().item<double>() : 0);
  preconditioner.observe(graph, shift);
  return preconditioner.at(graph, shift);
}

/// Solves by the rows where they suffice; at once where the matrix knows its inverse, and nothing
/// but the solution is asked for; else by the solver.
Solution solve(const NaturalGradientOptions& options, const DampedProblem& problem) {
  if (problem.rows) return options.solver().solve_by_rows(*problem.rows);
  const auto& system = problem.system;
  if (options.step_rule().needs_basis()) return options.solver().solve(system);
  const bool is_plain = std::isinf(system.radius) && !options.solver().needs_preconditioner();
  return is_plain && system.matrix.has_solve() ? solve_directly(system)
                                               : solve_in_range(options.solver(), system);
}

/// Whether the solution may be used: the last sound iterate of a solve that made at least one.
bool is_usable(const Solution& solution, const Evaluator& h) {
  const auto& summary = solution.summary;
  if (!std::isfinite(norm_in_double(solution.x))) return false;
  if (summary.termination == Termination::NegativeCurvature) {
    return summary.iterations > 0 && h.gradient().dot(solution.x).item<double>() < 0;
  }
  return summary.iterations > 0 || summary.termination == Termination::Converged;
}

/// M(δ) - h = ∇hᵀδ + ½ δᵀCδ: what the model promises, without the damping.
double promised(const QuadraticModel& M, const Tensor& delta) {
  return M.slope(delta) + 0.5 * M.curvature(delta);
}

/// ρ of the step's proposal; none where promise and decrease are both no more than h's rounding,
/// and their ratio says nothing.
void measure_ratio(const Step& step, const QuadraticModel& M, TrialLosses& trials,
                   StepSummary& report) {
  const bool proposed = step.proposal.defined();
  const auto& proposal = proposed ? step.proposal : step.displacement;
  const auto known = proposed ? step.proposal_loss : step.loss;
  const double promise = promised(M, step.promised.defined() ? step.promised : proposal);
  const double start = trials.start();
  const double reached = known ? *known : trials.at(proposal);
  if (!proposed) report.trial_loss = reached;
  const bool is_rounding =
      std::abs(promise) <= trials.rounding() && std::abs(reached - start) <= trials.rounding();
  if (!is_rounding)
    report.ratio =
        promise < 0 ? (reached - start) / promise : std::numeric_limits<double>::quiet_NaN();
}

/// Whether the trust region's boundary stopped the solver.
bool is_at_the_edge(const LinearSystem& system, const Solution& solution) {
  const auto termination = solution.summary.termination;
  return std::isfinite(system.radius) &&
         (termination == Termination::Boundary || termination == Termination::NegativeCurvature);
}

/// Whether the step is one down: by a trial of it where the rule makes trials, else as ρ tells,
/// else on trust.
bool is_better(const Step& step, TrialLosses* trials, const StepRule& rule, StepSummary& report) {
  if (step.loss) report.trial_loss = step.loss;
  if (!step.found) return false;
  if (!step.loss && !rule.needs_trials()) return !report.ratio || *report.ratio > 0;
  if (!report.trial_loss) report.trial_loss = trials->at(step.displacement);
  return *report.trial_loss <= trials->start() + trials->rounding();
}

/// What displacements do to the outputs, if that can be told.
std::function<OutputMove(const Tensor&)> outputs_of(const Evaluator& h) {
  if (h.batch().chunks() > 1) return nullptr;
  return [&h](const Tensor& v) -> OutputMove {
    try {
      return output_move(h.graph(), v);
    } catch (const c10::NotImplementedError&) {
      return {};  // some op cannot be differentiated twice, which rows do not need
    }
  };
}

/// M, by the rows if the problem was solved by them, with the products that are known.
std::unique_ptr<QuadraticModel> model_of(const Evaluator& h, const DampedProblem& problem,
                                         const LinearOperator& C, const Solution& solution) {
  if (!problem.rows) return std::make_unique<ModelByProducts>(h, C);
  auto model = std::make_unique<ModelByRows>(h, RowForm{problem.rows->root, problem.rows->targets});
  model->learn(problem.previous, problem.previous_in_rows);
  model->learn(solution.x, solution.product_in_rows);
  return model;
}

/// What the rows' solution solves, if it is around zero.
std::optional<RowSystem> row_system(const Solver& solver, const DampedProblem& problem) {
  if (!problem.rows || problem.rows->centre.defined()) return std::nullopt;
  const auto& rows = *problem.rows;
  return RowSystem{rows.targets, rows.scales, [&solver, rows](const Tensor& t) {
                     auto other = rows;
                     other.targets = t;
                     return solver.solve_by_rows(other).x;
                   }};
}

/// Shortens the step to this length, if it is longer; answers the share that is left.
double bound(Step& step, const StepRule& rule, double largest) {
  if (std::isinf(largest)) return 1;
  const double share = std::min(1., largest / norm_in_double(step.displacement));
  if (share < 1) rule.shorten(step, share);
  return share;
}

// Well below float32's largest number: a shorter step leads out of no parameter's range.
constexpr double kFarOut = 1e30;

/// Whether θ + d is a number at all: a rate or a solution may be too large for that.
bool leads_to_numbers(const ParameterLayout& layout, const Step& step) {
  const double length = norm_in_double(step.displacement);
  if (length < kFarOut) return true;
  return (layout.values() + step.displacement).isfinite().all().item<bool>();
}

}  // namespace

NaturalGradient::Impl::Attempt NaturalGradient::Impl::attempt(StepData& data,
                                                              const LinearOperator& C,
                                                              Learned& learned,
                                                              std::optional<ClosureTrials>& trials,
                                                              StepSummary& report) {
  const auto &h = data.h(), &h_of_curvature = data.of_curvature();
  auto& damping = *learned.damping;
  report.lambda = damping.lambda();
  report.radius = damping.radius();
  report.ratio = report.trial_loss = std::nullopt;
  auto problem = problem_of(data, C, learned);
  if (learned.preconditioner) {
    problem.system.preconditioner = precondition(*learned.preconditioner, data, report.lambda);
  }
  const auto solution = solve(system_, problem);
  h_of_curvature.graph().verify();
  report.solver = solution.summary;
  const bool at_the_edge = is_at_the_edge(problem.system, solution);
  if (!is_usable(solution, h)) return {StepOutcome::SolverFailed, {}, at_the_edge};

  // How far: θ ← θ + d, unless trials tell that it is no better.
  auto* const tried = trials ? &*trials : nullptr;
  const bool judges_by_all =
      learned.step_rule->needs_whole_matrix() && data.has_partial_curvature();
  const LinearOperator C_of_step = judges_by_all ? h.whole_matrix() : C;
  if (judges_by_all) problem.system.matrix = damped_matrix(data, C_of_step, damping);
  const auto model = model_of(h, problem, C_of_step, solution);
  auto step = choose_step(learned, h, *model, problem, solution, tried);
  if (!step.displacement.defined()) return {StepOutcome::Rejected, {}, at_the_edge};
  report.step_share = bound(step, *learned.step_rule, system_.max_step_norm());
  report.caution = state_.caution;
  if (state_.caution < 1) learned.step_rule->shorten(step, state_.caution);
  h.graph().verify();
  if (damping.needs_ratio()) measure_ratio(step, *model, *trials, report);
  const bool better =
      leads_to_numbers(h.parameters(), step) && is_better(step, tried, *learned.step_rule, report);
  if (better) {
    report.step_norm = norm_in_double(step.displacement);
    report.shortening = step.shortening;
  }
  return {better ? StepOutcome::Accepted : StepOutcome::Rejected, std::move(step), at_the_edge};
}

DampedProblem NaturalGradient::Impl::problem_of(const StepData& data, const LinearOperator& C,
                                                const Learned& learned) const {
  const auto& damping = *learned.damping;
  const auto rows = takes_rows(data, learned) ? data.h().rows() : std::nullopt;
  const bool goes_on =
      damping.centre() > 0 || system_.warm_start() > 0 || learned.step_rule->keeps_displacement();
  const Tensor previous = goes_on ? state_.last_step.delta(data.h().parameters()) : Tensor();
  const auto& solver = system_.solver();
  const bool takes_scales = !damping.needs_diagonal() || solver.takes_scales();
  if (rows && takes_scales && solver.solves_by_rows(*rows->root)) {
    return damped_problem_by_rows(data, *rows, C, damping, previous);
  }
  return damped_problem(data, C, damping, system_.warm_start(), previous);
}

/// Whether no part asks for more than rows tell.
bool NaturalGradient::Impl::takes_rows(const StepData& data, const Learned& learned) const {
  const auto& [damping, preconditioner, rule] = learned;
  const auto& decay = data.h().weight_decay();
  const bool is_shift = !system_.damping_matrix() && (!decay.defined() || decay.dim() == 0);
  return is_shift && !preconditioner && std::isinf(damping->radius()) && damping->lambda() > 0 &&
         !rule->needs_gradient();
}

Step NaturalGradient::Impl::choose_step(Learned& learned, const Evaluator& h,
                                        const QuadraticModel& model, const DampedProblem& problem,
                                        const Solution& solution, TrialLosses* trials) const {
  auto& rule = *learned.step_rule;
  const double rate = learned.damping->rate(), centre = learned.damping->centre();
  const auto& layout = h.parameters();
  const Tensor g = rule.needs_gradient() ? h.gradient() : Tensor();
  const auto rows = row_system(system_.solver(), problem);
  return rule.choose({.loss = h.value(),
                      .gradient = g,
                      .matrix = problem.system.matrix,
                      .solution = solution,
                      .previous = problem.previous,
                      .at_rate = [&](const Tensor& v) { return at_rates(h.trainable(), v, rate); },
                      .model = model,
                      .outputs = outputs_of(h),
                      .trials = trials,
                      .centre = centre,
                      .rate = rate,
                      .memory = rule.keeps_memory() ? state_.last_step.memory(layout) : Tensor(),
                      .rows = rows ? &*rows : nullptr});
}

}  // namespace natgrad
