#include "optim/natural_gradient_impl.h"
#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/hutchinson.h>
#include <torch/torch.h>
#include "graph/loss_graph_state.h"
#include "graph/reading.h"
#include "libtorch/errors.h"
#include "libtorch/fused_attention.h"
#include "optim/attention.h"
#include "optim/measured.h"
#include "optim/model.h"
#include "optim/preserved.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// A step that costs the next batch more than this share of what it gained on its own is undone. (At
// 1 the loss may double from batch to batch; at 0 the noise of small batches undoes half of all.)
constexpr double kRegret = 0.5;
// After a step that was taken back the next ones are so much shorter, and as long again after as
// many that were accepted: a rate that the user fixed would otherwise make the same step again.
constexpr double kRetreat = 0.25, kRecovery = 2, kLeastCaution = 1e-6;

/// The index of the first that holds NaN or infinity, or -1.
int64_t first_not_finite(const std::vector<Tensor>& parameters) {
  const auto found = std::find_if(parameters.begin(), parameters.end(), [](const Tensor& p) {
    return !p.detach().isfinite().all().item<bool>();
  });
  return found == parameters.end() ? -1 : found - parameters.begin();
}

/// The report of a step on such a loss.
StepSummary not_finite(const Tensor& loss) {
  StepSummary report;
  report.outcome = StepOutcome::NonFiniteLoss;
  report.loss = loss.item<double>();
  return report;
}

/// How many of the loss's weights are negative, where the curvature is made of its terms.
int64_t negative_weights(const Curvature& curvature, const LossGraph& graph) {
  return curvature.needs_terms() ? graph.negative_weights() : 0;
}

/// Within another one.
std::string as_part_of_a_sentence(std::string sentence) {
  sentence = without_prefix(std::move(sentence));
  if (sentence.ends_with('.')) sentence.pop_back();
  return sentence;
}

/// A loss that cannot be read is said to be none; `taken` names what it is taken for.
void report_unread(const Curvature& curvature, const LossGraph& graph, const std::string& taken) {
  if (!curvature.needs_terms()) return;
  const auto& reason = graph.substitutes();
  report_degradation(Degradation::UnreadLoss,
                     reason.empty()
                         ? ""
                         : fmt::format("{}. The loss is taken as a function of outputs "
                                       "found in its graph ({}), which trains but knows less of it",
                                       as_part_of_a_sentence(reason),
                                       taken.empty() ? curvature.describe() : taken));
}

/// The share of ∇h that is taken.
double share_of(const NaturalGradientOptions& options, double gradient_norm) {
  return std::min(1., options.max_gradient_norm() / gradient_norm);
}

/// With how many examples it was measured on.
void observe_noise(const Evaluator& h, Damping& damping, StepSummary& report) {
  damping.observe_noise(h.noise());
  const auto count = h.examples();
  report.examples = count.examples;
  report.examples_basis = count.basis;
}

/// What a closure has written to the parameters, and what is put back before this goes, is no edit.
class PutBackGuard {
 public:
  explicit PutBackGuard(LastStep& step) : step_(step), is_untouched_(step.can_be_taken_back()) {}
  ~PutBackGuard() {
    if (is_untouched_) step_.put_back();
  }
  PutBackGuard(const PutBackGuard&) = delete;
  PutBackGuard& operator=(const PutBackGuard&) = delete;

 private:
  LastStep& step_;
  bool is_untouched_;
};

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

void NaturalGradient::Impl::check_may_step() const {
  TORCH_CHECK(!stepping_, "natgrad: step was called from within a step's closure.");
  TORCH_CHECK(
      !c10::InferenceMode::is_enabled(),
      "natgrad: step was called inside c10::InferenceMode, which records no graph; leave that mode "
      "for training.");
}

Tensor NaturalGradient::Impl::step(const Batches& batches, const std::vector<Tensor>& parameters,
                                   const std::vector<torch::optim::OptimizerParamGroup>& groups,
                                   bool can_try) {
  const FlagGuard stepping(stepping_);
  const Listening listening(degradations_);
  const torch::AutoGradMode enable_grad(true);
  if (!attends_plainly_) {
    try {
      return take_step(batches, parameters, groups, can_try);
    } catch (const c10::NotImplementedError& error) {
      if (!can_try || !is_of_fused_attention(error)) throw;
    }
    attends_plainly_ = true;
    report_degradation(Degradation::FusedAttention,
                       "attention is computed by several ops within step's closures, since "
                       "LibTorch's one op for it (flash attention) cannot be differentiated twice");
  }
  return take_step(with_plain_attention(batches), parameters, groups, can_try);
}

Tensor NaturalGradient::Impl::take_step(
    const Batches& batches, const std::vector<Tensor>& parameters,
    const std::vector<torch::optim::OptimizerParamGroup>& groups, bool can_try) {
  Tensor loss;
  bool diverged = false;
  {
    const PutBackGuard guard(state_.last_step);
    Preserved before;
    before.module(Model(system_)).generators(parameters.front().device()).parameters(parameters);
    StepData data(batches, parameters, groups, system_,
                  static_cast<uint64_t>(state_.accepted_steps), can_try);
    loss = data.h().loss();
    const auto& faulty = data.faulty_loss();
    const auto report = faulty.defined() ? not_finite(faulty) : advance(data);
    diverged = faulty.defined() && !is_fault_of_data(data);
    const bool succeeded = report.outcome == StepOutcome::Accepted ||
                           report.outcome == StepOutcome::BelowRounding ||
                           report.outcome == StepOutcome::ZeroGradient;
    if (succeeded) before.commit();
    summary_ = report;
  }
  if (diverged || summary_.restored) take_back_last_step();
  if (summary_.outcome == StepOutcome::NonFiniteLoss && !summary_.restored) {
    summary_.faulty_parameter = first_not_finite(parameters);
  }
  summary_.step = state_.accepted_steps;
  summary_.layer_coverage = degradations_.layer_coverage;
  summary_.degradations = degradations_.list();
  warn_once();
  return loss;
}

StepSummary NaturalGradient::Impl::advance(StepData& data) {
  StepSummary report;
  const auto ended = [&report](StepOutcome outcome) {
    report.outcome = outcome;
    return report;
  };
  const auto &h = data.h(), &h_of_curvature = data.of_curvature();
  const torch::NoGradGuard no_grad;
  check_forward_is_new(loss_census(h.graph()), h.trainable().parameters, moved_);
  report.loss = h.loss().item<double>();
  const double regret = hindsight(data);
  if (regret > kRegret) {
    report.restored = true;
    return ended(StepOutcome::Rejected);
  }

  // h, ∇h and the curvature C; penalties and weight decay are part of all three.
  if (system_.fill_grad()) write_gradients(h.trainable(), h.parameters(), h.loss_gradient());
  report.gradient_norm = h.gradient_norm();
  if (!std::isfinite(report.gradient_norm)) return ended(StepOutcome::NonFiniteGradient);
  if (report.gradient_norm == 0) return ended(StepOutcome::ZeroGradient);
  look_at_gradients(h);
  data.scale_gradient(report.gradient_share = share_of(system_, report.gradient_norm));
  const LinearOperator C = h_of_curvature.matrix();
  report.curvature = h_of_curvature.choice();
  report_unread(system_.curvature(), h_of_curvature.graph(), report.curvature);

  // (C + λD) δ = -∇h + λ μ D δ_prev, with what damping and preconditioner learn from this batch.
  auto learned = state_.learned;
  auto& damping = *learned.damping;
  if (regret > 0) damping.rejected();
  if (damping.needs_noise()) observe_noise(h, damping, report);
  if (damping.needs_diagonal()) {
    damping.observe_diagonal(exact_diagonal(C), state_.last_step.moved(h.trainable().parameters));
  }
  report.negative_weights = negative_weights(system_.curvature(), h_of_curvature.graph());
  auto trials = trials_of(data);
  for (int64_t tries = 1;; ++tries) {
    auto tried = learned;
    const auto [outcome, step, at_the_edge] = attempt(data, C, tried, trials, report);
    if (outcome == StepOutcome::Accepted) {
      if (report.ratio) tried.damping->observe_ratio(*report.ratio, at_the_edge);
      tried.damping->accepted();
      closure_is_checked_ = closure_is_checked_ || (trials && trials->is_checked());
      if (report.trial_loss) report.decrease = trials->start() - *report.trial_loss;
      const double gain = report.decrease.value_or(kNaN);
      if (system_.measure()) measure(data, C, step.displacement, report);
      accept(step, h.parameters(), std::move(tried), gain);
      return ended(state_.last_step.is_below_rounding() ? StepOutcome::BelowRounding : outcome);
    }
    if (trials && outcome == StepOutcome::Rejected) trials->check();
    const bool may_try_again = tries < damping.tries_per_step() && !damping.is_exhausted();
    if (outcome != StepOutcome::Rejected || !may_try_again) {
      if (tries > 1) state_.learned.damping = std::move(learned.damping);
      return ended(take_failure(outcome, report.ratio, at_the_edge));
    }
    damping.observe_ratio(report.ratio.value_or(kNaN), at_the_edge);
  }
}

/// Trial losses, where a part asks for them.
std::optional<ClosureTrials> NaturalGradient::Impl::trials_of(StepData& data) const {
  const auto& [damping, preconditioner, rule] = state_.learned;
  if (!rule->needs_trials() && !damping->needs_ratio()) return std::nullopt;
  TORCH_CHECK(data.can_try(),
              "natgrad: ", rule->needs_trials() ? rule->describe() : damping->describe(),
              " judges a step by the loss at other parameters, which step(loss) cannot evaluate. "
              "Call step(closure) with a closure that returns the loss.");
  return std::optional<ClosureTrials>(std::in_place, data.h(), data.other_trial_batch(),
                                      !closure_is_checked_);
}

/// How much the last step has raised h on this batch, as a share of what it gained on its own; 0 if
/// it has not, or nothing asks.
double NaturalGradient::Impl::hindsight(StepData& data) const {
  const auto& last = state_.last_step;
  const bool asks = state_.learned.damping->needs_hindsight() && data.can_try();
  if (!asks || std::isnan(state_.last_gain) || !last.can_be_taken_back()) return 0;
  const auto& layout = data.h().parameters();
  ClosureTrials trials(data.h(), data.other_trial_batch(), /*compares=*/false);
  const double rise = trials.start() - trials.at(last.before(layout) - layout.values());
  return rise > trials.rounding() ? rise / std::max(state_.last_gain, trials.rounding()) : 0;
}

void NaturalGradient::Impl::accept(const Step& step, const ParameterLayout& layout, Learned learned,
                                   double gain) {
  const Tensor before = layout.values();
  move_parameters(layout, step.displacement);
  moved_ = Instant::now();
  state_ = {std::move(learned), LastStep(layout, before, step.kept, step.memory),
            state_.accepted_steps + 1, gain, std::min(1., state_.caution * kRecovery)};
}

/// A damping that judges steps is told. After trials that were no better nothing goes on from the
/// last step: the same step would only fail again.
StepOutcome NaturalGradient::Impl::take_failure(StepOutcome outcome, std::optional<double> ratio,
                                                bool at_the_edge) {
  auto& damping = *state_.learned.damping;
  damping.observe_ratio(ratio.value_or(kNaN), at_the_edge);
  if (outcome != StepOutcome::Rejected) return outcome;
  state_.last_step.forget_delta();
  return damping.is_exhausted() ? StepOutcome::DampingExhausted : outcome;
}

/// Whether a loss that is not finite comes from the data and not from the parameters: it was not
/// before the last step either. Where no closure can tell, the graph does of NaN, as far as it can
/// be read.
bool NaturalGradient::Impl::is_fault_of_data(StepData& data) const {
  const auto& last = state_.last_step;
  const auto& loss = data.faulty_loss();
  const auto comes = comes_from_data(loss, data.h().trainable().parameters);
  if (data.can_try() && last.can_be_taken_back()) return !data.is_finite_at(last.moved_from());
  if (!std::isnan(loss.item<double>())) return false;
  const bool has_to_be_read =
      system_.curvature().needs_terms() && system_.unread() == Unread::Throw;
  return is_read(comes) || has_to_be_read ? detail::value_of(comes) : false;
}

void NaturalGradient::Impl::take_back_last_step() {
  if (!state_.last_step.take_back()) return;
  state_.learned.damping->rejected();
  state_.caution = std::max(state_.caution * kRetreat, kLeastCaution);
  summary_.restored = true;
}

}  // namespace natgrad
