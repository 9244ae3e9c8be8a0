#include <fmt/format.h>
#include <natgrad/step_control/held_out_rate.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

// The default lr: with it α is taken as it is.
constexpr double kUnitRate = 0.1;
// P: what noise-dominated training wants, and after how many steps it is half of that.
constexpr double kProduct = 2, kRampSteps = 30;
// Steps before anything is learnt: networks of ReLU are led astray by long early steps.
constexpr double kLearningStart = 50;
// log P moves by at most 6/(t + 60) a step. Beyond a factor of 15 steps kick sets that are fitted
// out of their minimum again.
constexpr double kGain = 6, kGainDelay = 60, kLargestGrowth = 15;
// Weights of the running means: of the recent steps, of many, and of the iterates.
constexpr double kRecentWeight = 0.1, kLongMemory = 20, kIterateMemory = 2.5;
// θ̄ changes slowly: it is looked at every fourth step, which costs a product R v.
constexpr double kIterateInterval = 4;
// A step is too long where the held-out batch says that it has made things worse by more than the
// next step promises.
constexpr double kWorsening = 1.1, kShorteningPower = 3, kShorteningGain = 0.1;
// Beyond this what the next step goes on from is scaled down to it. (At 1.1 small batches, whose
// noise alone gets there, lose their memory.)
constexpr double kHarmful = 2;
// P grows the slower, the shorter θ̄ - θ is beside what a batch promises: then noise decides.
constexpr double kNoiseShare = 0.1;
// How much of θ̄ - θ counts as noise: none at kNoShare, all of kShare below by kShareWidth.
constexpr double kShare = 0.45, kNoShare = 1.05, kShareWidth = 0.15;
// From which share of δ_prev still being wanted P grows, and to what factor less one.
constexpr double kAgreement = 0.75, kBoost = 8;
// w is never more than a promise of this share of |n| + d would make it: where steps cancel nearly
// all that the next one promises, p may vanish.
constexpr double kLeastPromise = 0.01;
constexpr size_t kStateSize = 12;
// When the outputs are looked at: in the first steps, from time to time, and where the last look,
// in proportion to the square of the step, says that half of the harm may be done.
constexpr double kWatchedSteps = 20, kLookInterval = 25, kAlarm = 0.5;
// The mean rise of the losses that rise, in nats, that is too much.
constexpr double kHarm = 0.25;

double clip(double x) { return std::clamp(x, 0., 1.); }

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

}  // namespace

Step HeldOutRate::choose(const StepProblem& problem) {
  const auto& x = problem.solution.x;
  if (problem.centre == 0) return {problem.at_rate(x), x};
  steps_ += 1;
  observe(problem);
  const double alpha = std::min(largest_, product() * (1 - problem.centre));
  Step step{problem.at_rate(x) * (alpha / (kUnitRate * problem.rate)), x};
  const double worse = recent_.worsening();
  if (worse > kHarmful) step.kept = x * std::sqrt(kHarmful / worse);
  keep_outputs_near(problem, step);
  const double weight = 1 / (1 + steps_ / kIterateMemory);
  step.memory = problem.memory.defined() ? (problem.memory * (1 - weight)).sub_(step.displacement)
                                         : -step.displacement;
  return step;
}

void HeldOutRate::keep_outputs_near(const StepProblem& problem, Step& step) {
  if (!problem.outputs) return;
  const double length = norm_in_double(step.displacement), square = length * length;
  const bool is_due = steps_ <= kWatchedSteps || steps_ - looked_at_ >= kLookInterval ||
                      !(rise_per_square_ * square < kAlarm * kHarm);
  if (!is_due) return;
  const auto move = problem.outputs(step.displacement);
  looked_at_ = steps_;
  rise_per_square_ = ratio(move.rise, square);
  // Not a number, where outputs leave what can be computed, is harm too: then it stays where it is.
  if (move.reach <= 1 || move.rise <= kHarm) return;
  step.shortening = std::isfinite(move.reach) ? 1 / move.reach : 0;
  step.displacement.mul_(step.shortening);
  step.kept = step.kept * step.shortening;
}

void HeldOutRate::shorten(Step& step, double share) const {
  if (step.memory.defined()) step.memory = step.memory + (1 - share) * step.displacement;
  StepRule::shorten(step, share);
}

/// A batch whose numbers are not finite says nothing.
void HeldOutRate::observe(const StepProblem& problem) {
  const auto& model = problem.model;
  const auto along = [&](const Tensor& v) -> Along {
    return v.defined() ? Along{-model.slope(v), model.curvature(v)} : Along{};
  };
  const auto step = along(problem.previous);
  const double promise = -model.slope(problem.solution.x) - problem.centre * step.wanted;
  const double lasting = 1 / (1 + steps_ / kLongMemory);
  if (std::isfinite(step.wanted + step.curvature + promise)) {
    recent_.follow({step, promise}, std::max(kRecentWeight, 1 / steps_));
    long_.follow({step, promise}, lasting);
  }
  if (!problem.memory.defined() || std::fmod(steps_, kIterateInterval) != 0) return;
  const auto iterates = along(problem.memory);
  if (!std::isfinite(iterates.wanted + iterates.curvature)) return;
  average_.follow(iterates, 1 - std::pow(1 - lasting, kIterateInterval));
}

void HeldOutRate::Along::follow(const Along& now, double weight) {
  wanted += weight * (now.wanted - wanted);
  curvature += weight * (now.curvature - curvature);
}

void HeldOutRate::Means::follow(const Means& now, double weight) {
  Along::follow(now, weight);
  promise += weight * (now.promise - promise);
}

/// P, after it has been adapted.
double HeldOutRate::product() {
  const bool learns = steps_ > kLearningStart;
  if (learns) grow();
  const double agreement =
      clip((ratio(recent_.wanted, recent_.curvature) - kAgreement) / (1 - kAgreement));
  const double boost = kBoost * agreement * agreement * (3 - 2 * agreement);
  const double growth = std::min(std::exp(log_growth_) * (1 + boost), kLargestGrowth);
  const double product = kProduct * steps_ / (steps_ + kRampSteps) * growth;
  const double worse = recent_.worsening();
  if (!(worse > kWorsening)) return product;
  if (learns) log_growth_ = std::max(log_growth_ - kShorteningGain * (1 - kWorsening / worse), 0.);
  return product * std::pow(kWorsening / worse, kShorteningPower);
}

/// By whether θ̄ is better than θ.
void HeldOutRate::grow() {
  const double share = kShare * clip((kNoShare - long_.worsening()) / kShareWidth);
  const auto& [wanted, curvature] = average_;
  const double gain = ratio(wanted - share * curvature, std::abs(wanted) + curvature);
  const double noise = kNoiseShare * std::max(long_.promise, 0.);
  const double share_of_signal = gain < 0 ? ratio(curvature, curvature + noise) : 1;
  const double change = -kGain * share_of_signal * gain / (steps_ + kGainDelay);
  log_growth_ = std::clamp(log_growth_ + change, 0., std::log(kLargestGrowth));
}

double HeldOutRate::Means::worsening() const {
  const double least = kLeastPromise * (std::abs(wanted) + curvature);
  return ratio(curvature - 2 * wanted, std::max(promise, least));
}

std::vector<double> HeldOutRate::state() const {
  if (steps_ == 0) return {};
  return {steps_,          log_growth_,        recent_.wanted,  recent_.curvature,
          recent_.promise, long_.wanted,       long_.curvature, long_.promise,
          average_.wanted, average_.curvature, looked_at_,      rise_per_square_};
}

void HeldOutRate::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.empty() || (state.size() == kStateSize && state[0] >= 1),
              "natgrad: HeldOutRate's state is ", kStateSize,
              " numbers, of which the first counts the steps, or "
              "none before the first step, but got ",
              state, ".");
  TORCH_CHECK(std::none_of(state.begin(), state.end(), [](double x) { return std::isnan(x); }),
              "natgrad: HeldOutRate's state holds what is no number: ", state, ".");
  *this = HeldOutRate().largest(largest_);
  if (state.empty()) return;
  steps_ = state[0];
  log_growth_ = state[1];
  recent_ = {{state[2], state[3]}, state[4]};
  long_ = {{state[5], state[6]}, state[7]};
  average_ = {state[8], state[9]};
  looked_at_ = state[10];
  rise_per_square_ = state[11];
}

std::string HeldOutRate::describe() const {
  return fmt::format("HeldOutRate(largest={})", largest_);
}

std::unique_ptr<StepRule> HeldOutRate::clone() const {
  TORCH_CHECK(largest_ > 0 && std::isfinite(largest_),
              "natgrad: HeldOutRate's largest is a finite rate > 0, but is ", largest_, ".");
  return std::make_unique<HeldOutRate>(*this);
}

}  // namespace natgrad
