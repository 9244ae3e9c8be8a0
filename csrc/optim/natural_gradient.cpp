#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/walk.h>
#include <natgrad/linalg/norm.h>
#include <natgrad/linalg/random.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/transaction.h>
#include <natgrad/solvers/direct.h>
#include <torch/torch.h>

#include <cmath>
#include <utility>

namespace natgrad {

using torch::Tensor;

namespace {

/// Whether a loss of NaN comes from the data: some outputs are finite, as far as they can be known.
bool is_fault_of_data(const Tensor& loss, const Trainable& trainable, const Curvature& curvature) {
  try {
    return has_finite_outputs(loss, trainable.parameters);
  } catch (const c10::Error&) {
    if (curvature.needs_terms()) throw;
    return false;
  }
}

/// Solves at once where the matrix knows its inverse, else by the solver.
Solution solve(const Solver& solver, const LinearSystem& system) {
  return system.matrix.has_solve() ? solve_directly(system) : solver.solve(system);
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

/// c δ_prev; undefined if there is none.
Tensor centre_of(const Damping& damping, const Tensor& previous) {
  const double share = damping.centre();
  return share > 0 && previous.defined() ? share * previous : Tensor();
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
      system_(std::move(defaults)),
      damping_(system_.damping().clone()) {
  // The base has replaced the groups' options by the defaults.
  for (size_t i = 0; i < groups.size(); ++i) param_groups_[i].set_options(options_for(groups[i]));
  check_groups();
}

NaturalGradient::NaturalGradient(std::vector<Tensor> parameters, NaturalGradientOptions defaults)
    : NaturalGradient({torch::optim::OptimizerParamGroup(std::move(parameters))},
                      std::move(defaults)) {}

Tensor NaturalGradient::step(const Tensor& loss) {
  return attempt([&] { return loss; });
}

Tensor NaturalGradient::step(LossClosure closure) {
  TORCH_CHECK(
      closure != nullptr,
      "natgrad: step needs the loss: step(loss), or step(closure) with a closure that returns it.");
  return attempt(closure);
}

Tensor NaturalGradient::attempt(const LossClosure& evaluate) {
  TORCH_CHECK(!stepping_, "natgrad: step was called from within a step's closure.");
  TORCH_CHECK(
      !c10::InferenceMode::is_enabled(),
      "natgrad: step was called inside c10::InferenceMode, which records no graph; leave that mode "
      "for training.");
  const FlagGuard stepping(stepping_);
  const torch::AutoGradMode enable_grad(true);
  check_groups();

  Tensor loss;
  bool diverged = false;
  {
    Transaction transaction(all_parameters(), system_.module());
    loss = evaluate();
    check_loss(loss);
    const auto trainable = trainable_of(param_groups_);
    const auto report = advance(loss, trainable);
    diverged = report.outcome == StepOutcome::NonFiniteLoss &&
               !(std::isnan(report.loss) && is_fault_of_data(loss, trainable, system_.curvature()));
    if (report.outcome == StepOutcome::Accepted || report.outcome == StepOutcome::ZeroGradient) {
      transaction.commit();
    }
    summary_ = report;
  }
  if (diverged) take_back_last_step();
  summary_.step = accepted_steps_;
  warn_once();
  return loss.detach();
}

/// A loop that never looks at the summary would otherwise stand still without a word.
void NaturalGradient::warn_once() {
  const auto say = [this](bool& warned) {
    if (!std::exchange(warned, true)) {
      TORCH_WARN("natgrad: ", summary_.message(), " (Said once; see optimizer.summary().)");
    }
  };
  if (summary_.outcome == StepOutcome::SolverFailed) return say(warned_of_failure_);
  if (summary_.solver.termination == Termination::NegativeCurvature) say(warned_of_curvature_);
}

StepSummary NaturalGradient::advance(const Tensor& loss, const Trainable& trainable) {
  StepSummary report;
  report.outcome = StepOutcome::Accepted;
  report.loss = loss.item<double>();
  if (!std::isfinite(report.loss)) {
    report.outcome = StepOutcome::NonFiniteLoss;
    return report;
  }

  // h and its terms on this batch, ∇h, and the curvature C; penalties and weight decay are part of
  // all three.
  auto generator = make_generator(system_.seed(), static_cast<uint64_t>(accepted_steps_));
  const auto& curvature = system_.curvature();
  const LossGraph graph(system_.maximize() ? -loss : loss, trainable.parameters, generator,
                        curvature.needs_terms() ? Terms::Required : Terms::WhenAsked);
  const torch::NoGradGuard no_grad;
  const auto& layout = graph.parameters();
  const Tensor theta = layout.values();
  Tensor g = graph.gradient();
  if (system_.fill_grad()) write_gradients(trainable, layout, system_.maximize() ? -g : g);
  if (curvature.needs_terms()) report.negative_weights = graph.negative_weights();
  LinearOperator C = curvature.at(graph);
  if (curvature.needs_penalties() && graph.is_readable() && graph.has_penalties()) {
    C = C + penalty_hessian(graph);
  }
  if (const auto w = weight_decay(trainable, layout); w.defined()) {
    g = g + w * theta;
    C = C + natgrad::diagonal(w);
  }
  report.gradient_norm = norm_in_double(g);
  if (!std::isfinite(report.gradient_norm)) report.outcome = StepOutcome::NonFiniteGradient;
  if (report.gradient_norm == 0) report.outcome = StepOutcome::ZeroGradient;
  if (report.outcome != StepOutcome::Accepted) return report;

  // λ and the centre c δ_prev.
  auto damping = damping_->clone();
  if (damping->needs_noise())
    damping->observe_noise(curvature.noise(graph, generator).item<double>());
  const double lambda = report.lambda = damping->lambda();
  const Tensor centre = centre_of(*damping, last_step_.delta(layout));

  // (C + λI) δ = -∇h + λ c δ_prev.
  const auto solution =
      solve(system_.solver(), {C + lambda, centre.defined() ? lambda * centre - g : -g, centre});
  graph.verify();
  report.solver = solution.summary;
  if (!is_usable(solution, g)) {
    report.outcome = StepOutcome::SolverFailed;
    return report;
  }

  // θ ← θ + r α δ.
  report.step_norm = move_parameters(trainable, layout, damping->rate() * solution.x);
  last_step_ = LastStep(layout, theta, solution.x);
  damping->accepted();
  damping_ = std::move(damping);
  ++accepted_steps_;
  return report;
}

void NaturalGradient::take_back_last_step() {
  if (!last_step_.take_back()) return;
  damping_->rejected();
  summary_.restored = true;
}

std::vector<Tensor> NaturalGradient::all_parameters() const {
  std::vector<Tensor> parameters;
  for (const auto& group : param_groups_) {
    parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  }
  return parameters;
}

void NaturalGradient::add_param_group(const torch::optim::OptimizerParamGroup& group) {
  auto options = options_for(group);
  auto parameters = all_parameters();
  parameters.insert(parameters.end(), group.params().begin(), group.params().end());
  check_parameters(parameters);
  Optimizer::add_param_group(group);
  param_groups_.back().set_options(std::move(options));
}

std::unique_ptr<NaturalGradientOptions> NaturalGradient::options_for(
    const torch::optim::OptimizerParamGroup& given) const {
  auto options = std::make_unique<NaturalGradientOptions>(system_);
  if (!given.has_options()) return options;
  const NaturalGradientOptions untouched;
  const auto& wanted = options_of(given);
  TORCH_CHECK(wanted.same_system(system_) || wanted.same_system(untouched),
              "natgrad: a parameter group asks for ", wanted.describe_system(),
              ", but the optimizer's one system has ", system_.describe_system(),
              ". Only lr and weight_decay may differ by group.");
  options->lr(wanted.lr()).weight_decay(wanted.weight_decay());
  options->check();
  return options;
}

void NaturalGradient::check_groups() {
  for (const auto& group : param_groups_) {
    options_of(group).check();
    TORCH_CHECK(options_of(group).same_system(system_),
                "natgrad: the options of a parameter group were changed to ",
                options_of(group).describe_system(), ", but the optimizer's one system has ",
                system_.describe_system(),
                ". Only lr and weight_decay can change while it runs; make a new optimizer.");
  }
  check_new_parameters();
}

void NaturalGradient::check_new_parameters() {
  // The base class's ways of adding parameters cannot be overridden, only noticed.
  const auto parameters = all_parameters();
  if (checked_parameters_ > 0 && checked_parameters_ == parameters.size()) return;
  check_parameters(parameters);
  checked_parameters_ = parameters.size();
  last_step_.forget_delta();
}

}  // namespace natgrad
