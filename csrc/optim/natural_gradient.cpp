#include "graph/reading.h"
#include "linalg/norm.h"
#include "optim/natural_gradient_impl.h"
#include "optim/transaction.h"
#include "solvers/known_inverse.h"
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Whether a loss of NaN comes from the data: some outputs are finite, as far as they can be known.
bool is_fault_of_data(const Tensor& loss, const Trainable& trainable, const Curvature& curvature) {
  const auto finite = has_finite_outputs(loss, trainable.parameters);
  return is_read(finite) || curvature.needs_terms() ? value_of(finite) : false;
}

/// Solves at once where the matrix knows its inverse, and nothing but the solution is asked for;
/// else by the solver.
Solution solve(const NaturalGradientOptions& options, const LinearSystem& system) {
  const bool is_plain = std::isinf(system.radius) && !options.step_rule().needs_basis() &&
                        !options.solver().needs_preconditioner();
  return is_plain && system.matrix.has_solve() ? solve_directly(system)
                                               : options.solver().solve(system);
}

/// Whether the solution may be used: the last sound iterate of a solve that made at least one.
bool is_usable(const Solution& solution, const Tensor& gradient) {
  const auto& summary = solution.summary;
  if (!std::isfinite(norm_in_double(solution.x))) return false;
  if (summary.termination == Termination::NegativeCurvature) {
    return summary.iterations > 0 && gradient.dot(solution.x).item<double>() < 0;
  }
  return summary.iterations > 0 || summary.termination == Termination::Converged;
}

/// M(δ) - h = ∇hᵀδ + ½ δᵀCδ: what the model promises, without the damping.
double promised(const Tensor& g, const LinearOperator& C, const Tensor& delta) {
  return g.dot(delta).item<double>() + 0.5 * C.inner({delta}).item<double>();
}

/// ρ of the step's proposal; none where promise and decrease are both no more than h's rounding,
/// and their ratio says nothing.
void measure_ratio(const Step& step, const Tensor& g, const LinearOperator& C, TrialLosses& trials,
                   StepSummary& report) {
  const bool proposed = step.proposal.defined();
  const auto& proposal = proposed ? step.proposal : step.displacement;
  const auto known = proposed ? step.proposal_loss : step.loss;
  const double promise = promised(g, C, proposal), start = trials.start();
  const double reached = known ? *known : trials.at(proposal);
  if (!proposed) report.trial_loss = reached;
  const bool is_rounding =
      std::abs(promise) <= trials.rounding() && std::abs(reached - start) <= trials.rounding();
  if (!is_rounding) report.ratio = promise < 0 ? (reached - start) / promise : kNaN;
}

/// Whether the trust region's boundary stopped the solver.
bool is_at_the_edge(const LinearSystem& system, const Solution& solution) {
  const auto termination = solution.summary.termination;
  return std::isfinite(system.radius) &&
         (termination == Termination::Boundary || termination == Termination::NegativeCurvature);
}

/// Whether the step is one down: as the rule's own trials found, else as ρ tells, else on trust.
bool is_better(const Step& step, std::optional<ClosureTrials>& trials, const StepRule& rule,
               StepSummary& report) {
  if (step.loss) report.trial_loss = step.loss;
  if (!step.found) return false;
  if (step.loss) return *step.loss <= trials->start() + trials->rounding();
  return rule.needs_trials() || !report.ratio || *report.ratio > 0;
}

/// Sets a flag for as long as it lives.
class FlagGuard {
 public:
  explicit FlagGuard(bool& flag) : flag_(flag) { flag_ = true; }
  ~FlagGuard() { flag_ = false; }
  FlagGuard(const FlagGuard&) = delete;
  FlagGuard& operator=(const FlagGuard&) = delete;

 private:
  bool& flag_;
};

}  // namespace

NaturalGradient::NaturalGradient(const std::vector<torch::optim::OptimizerParamGroup>& groups,
                                 NaturalGradientOptions defaults)
    : Optimizer(groups, std::make_unique<NaturalGradientOptions>(defaults)),
      impl_(std::make_unique<Impl>(std::move(defaults))) {
  // The base has replaced the groups' options by the defaults.
  for (size_t i = 0; i < groups.size(); ++i) param_groups_[i].set_options(options_for(groups[i]));
  check_groups();
  const bool decays =
      std::any_of(param_groups_.begin(), param_groups_.end(),
                  [](const auto& group) { return options_of(group).weight_decay() > 0; });
  impl().system_.check_combination(decays);
}

NaturalGradient::NaturalGradient(std::vector<Tensor> parameters, NaturalGradientOptions defaults)
    : NaturalGradient({torch::optim::OptimizerParamGroup(std::move(parameters))},
                      std::move(defaults)) {}

NaturalGradient::NaturalGradient(NaturalGradient&&) noexcept = default;
NaturalGradient& NaturalGradient::operator=(NaturalGradient&&) noexcept = default;
NaturalGradient::~NaturalGradient() = default;

const NaturalGradient::Impl& NaturalGradient::impl() const {
  TORCH_CHECK(impl_,
              "natgrad: this optimizer was moved from, and has no parameters; use the one it was "
              "moved to.");
  return *impl_;
}

NaturalGradient::Impl& NaturalGradient::impl() {
  return const_cast<Impl&>(std::as_const(*this).impl());
}

const StepSummary& NaturalGradient::summary() const { return impl().summary_; }

Tensor NaturalGradient::step(const Tensor& loss) {
  return attempt({Batch(1, [&](int64_t) { return loss; })}, /*can_try=*/false);
}

Tensor NaturalGradient::step(LossClosure closure) {
  return attempt({Batch(std::move(closure))}, /*can_try=*/true);
}

Tensor NaturalGradient::step(int64_t chunks, Batch::Loss closure) {
  return attempt({Batch(chunks, std::move(closure))}, /*can_try=*/true);
}

Tensor NaturalGradient::step(const Batches& batches) { return attempt(batches, /*can_try=*/true); }

Tensor NaturalGradient::attempt(const Batches& batches, bool can_try) {
  TORCH_CHECK(!impl().stepping_, "natgrad: step was called from within a step's closure.");
  TORCH_CHECK(
      !c10::InferenceMode::is_enabled(),
      "natgrad: step was called inside c10::InferenceMode, which records no graph; leave that mode "
      "for training.");
  const FlagGuard stepping(impl().stepping_);
  const torch::AutoGradMode enable_grad(true);
  check_groups();

  Tensor loss;
  bool diverged = false;
  {
    Transaction transaction(all_parameters(), impl().system_.module());
    StepData data(batches, all_parameters(), param_groups_, impl().system_,
                  static_cast<uint64_t>(impl().accepted_steps_), can_try);
    loss = data.evaluate();
    const auto report = impl().advance(data);
    const auto& faulty = data.faulty_loss();
    diverged =
        faulty.defined() && !(std::isnan(faulty.item<double>()) &&
                              is_fault_of_data(faulty, data.h().trainable(), impl().system_.curvature()));
    if (report.outcome == StepOutcome::Accepted || report.outcome == StepOutcome::ZeroGradient) {
      transaction.commit();
    }
    impl().summary_ = report;
  }
  if (diverged) impl().take_back_last_step();
  impl().summary_.step = impl().accepted_steps_;
  impl().warn_once();
  return loss;
}

/// A loop that never looks at the summary would otherwise stand still without a word.
void NaturalGradient::Impl::warn_once() {
  const auto say = [this](bool& warned) {
    if (!std::exchange(warned, true)) {
      TORCH_WARN("natgrad: ", summary_.message(), " (Said once; see optimizer.summary().)");
    }
  };
  if (summary_.outcome == StepOutcome::SolverFailed ||
      summary_.outcome == StepOutcome::DampingExhausted) {
    return say(warned_of_failure_);
  }
  if (summary_.solver.termination == Termination::NegativeCurvature) say(warned_of_curvature_);
}

StepSummary NaturalGradient::Impl::advance(StepData& data) {
  auto& objective = data.h();
  StepSummary report;
  report.loss = data.faulty_loss().defined() ? data.faulty_loss().item<double>()
                                             : objective.loss().item<double>();
  report.outcome = StepOutcome::NonFiniteLoss;
  if (data.faulty_loss().defined()) return report;
  const torch::NoGradGuard no_grad;
  const auto& layout = objective.parameters();

  // h, ∇h, and the curvature C; penalties and weight decay are part of all three.
  const Tensor theta = layout.values();
  Tensor g = objective.gradient();
  if (system_.fill_grad()) {
    write_gradients(objective.trainable(), layout, system_.maximize() ? -g : g);
  }
  if (objective.weight_decay().defined()) g = g + objective.weight_decay() * theta;
  report.gradient_norm = norm_in_double(g);
  report.outcome = StepOutcome::NonFiniteGradient;
  if (!std::isfinite(report.gradient_norm)) return report;
  report.outcome = StepOutcome::ZeroGradient;
  if (report.gradient_norm == 0) return report;
  const LinearOperator C = data.of_curvature().matrix();

  // (C + λD) δ = -∇h + λ c D δ_prev.
  auto learned = learned_;
  const auto system = damped_system(data, g, C, learned, report);
  const auto solution = solve(system_, system);
  data.of_curvature().graph().verify();
  report.solver = solution.summary;
  report.outcome = StepOutcome::SolverFailed;
  const bool at_the_edge = is_at_the_edge(system, solution);
  if (!is_usable(solution, g)) return failed(report, at_the_edge);

  // How far: θ ← θ + d, unless trials tell that it is no better.
  auto trials = trials_of(data);
  const auto previous =
      learned.step_rule->keeps_displacement() ? last_step_.delta(layout) : Tensor();
  const auto step = learned.step_rule->choose(
      {objective.value(), g, system.matrix, solution, previous,
       [&](const Tensor& v) { return at_rates(objective.trainable(), v, learned.damping->rate()); },
       trials ? &*trials : nullptr});
  if (learned.damping->needs_ratio()) measure_ratio(step, g, C, *trials, report);
  report.outcome = StepOutcome::Rejected;
  if (!is_better(step, trials, *learned.step_rule, report)) {
    if (trials) trials->check();
    return failed(report, at_the_edge);
  }
  if (report.ratio) learned.damping->observe_ratio(*report.ratio, at_the_edge);
  if (trials) closure_is_checked_ = closure_is_checked_ || trials->is_checked();
  move_parameters(layout, step.displacement);
  report.outcome = StepOutcome::Accepted;
  report.step_norm = norm_in_double(step.displacement);
  last_step_ = LastStep(layout, theta, step.kept);
  learned.damping->accepted();
  learned_ = std::move(learned);
  ++accepted_steps_;
  return report;
}

LinearSystem NaturalGradient::Impl::damped_system(StepData& data, const Tensor& g,
                                            const LinearOperator& C, Learned& learned,
                                            StepSummary& report) const {
  auto& damping = *learned.damping;
  const auto& graph = data.of_curvature().graph();
  if (damping.needs_noise()) damping.observe_noise(data.h().noise());
  if (system_.curvature().needs_terms()) report.negative_weights = graph.negative_weights();
  const double lambda = report.lambda = damping.lambda();
  report.radius = damping.radius();
  const auto* D = system_.damping_matrix();
  const auto weighted = D ? std::optional(lambda * D->at(graph)) : std::nullopt;  // λD

  const double share = damping.centre() > 0 ? damping.centre() : system_.warm_start();
  const Tensor previous = share > 0 ? last_step_.delta(data.h().parameters()) : Tensor();
  const Tensor start = previous.defined() ? share * previous : Tensor();
  Tensor b = -g;
  if (damping.centre() > 0 && start.defined()) {
    b = (weighted ? weighted->multiply(start) : lambda * start) - g;
  }
  LinearSystem system{weighted ? C + *weighted : C + lambda, b, start};
  system.radius = damping.radius();
  if (learned.preconditioner) {
    const auto& w = data.h().weight_decay();
    const double shift = lambda + (w.defined() ? w.mean().item<double>() : 0);
    learned.preconditioner->observe(graph, shift);
    system.preconditioner = learned.preconditioner->at(graph, shift);
  }
  return system;
}

/// Trial losses, where a part asks for them.
std::optional<ClosureTrials> NaturalGradient::Impl::trials_of(StepData& data) const {
  const bool rule = learned_.step_rule->needs_trials();
  if (!rule && !learned_.damping->needs_ratio()) return std::nullopt;
  TORCH_CHECK(data.can_try(),
              "natgrad: ", rule ? learned_.step_rule->describe() : learned_.damping->describe(),
              " judges a step by the loss at other parameters, which step(loss) cannot evaluate. "
              "Call step(closure) with a closure that returns the loss.");
  const auto known = data.has_trial_batch() ? std::nullopt : std::optional(data.h().value());
  return ClosureTrials(data.trial_batch(), data.h().parameters(), data.h().weight_decay(),
                       system_.maximize(), known, !closure_is_checked_);
}

/// The parameters stay; a damping that judges steps is told, and after trials that were no better
/// nothing starts from the last step: the same step would only fail again.
StepSummary NaturalGradient::Impl::failed(StepSummary report, bool at_the_edge) {
  learned_.damping->observe_ratio(report.ratio.value_or(kNaN), at_the_edge);
  if (report.outcome != StepOutcome::Rejected) return report;
  last_step_.forget_delta();
  if (learned_.damping->is_exhausted()) report.outcome = StepOutcome::DampingExhausted;
  return report;
}

void NaturalGradient::Impl::take_back_last_step() {
  if (!last_step_.take_back()) return;
  learned_.damping->rejected();
  summary_.restored = true;
}

}  // namespace natgrad
