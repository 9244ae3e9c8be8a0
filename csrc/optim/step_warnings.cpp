// What a step says besides its summary: habits and failures that a loop would not notice.

#include <torch/torch.h>

#include <algorithm>
#include <utility>

#include "optim/clipped_gradients.h"
#include "optim/natural_gradient_impl.h"
#include "optim/trainable.h"

namespace natgrad {

using torch::Tensor;

// Rates below are Adam's or SGD's, as a rule; schedules of natgrad's own may end there.
constexpr double kUsualRate = 1e-3;

void NaturalGradient::Impl::look_at_rates(
    const std::vector<torch::optim::OptimizerParamGroup>& groups) {
  double largest = 0;
  for (const auto& group : groups) largest = std::max(largest, options_of(group).lr());
  if (warned_of_rates_ || largest == 0 || largest > kUsualRate) return;
  warned_of_rates_ = true;
  TORCH_WARN(
      "natgrad: lr = ", largest,
      " is a rate for Adam. Here it is the share of a damped Newton step that is taken: 1 is "
      "a full one, and 0.1 usual; at ",
      largest, " training stands still. Leave it out, and the step size is chosen for you.");
}

/// Says once what was done to `.grad` in vain.
void NaturalGradient::Impl::look_at_gradients(const Evaluator& h) const {
  const bool is_ours = system_.fill_grad() || warned_of_.contains(Degradation::ClippedGradients);
  if (is_ours || h.batch().chunks() > 1 || !h.trainable().parameters.front().grad().defined())
    return;
  const auto pieces = h.parameters().views(h.loss_gradient());
  report_degradation(Degradation::ClippedGradients,
                     describe_clipping(h.trainable().parameters, pieces));
}

/// A loop that never looks at the summary would otherwise stand still without a word.
void NaturalGradient::Impl::warn_once() {
  const auto say = [this](bool& warned) {
    if (!std::exchange(warned, true)) {
      TORCH_WARN("natgrad: ", summary_.message(), " (Said once; see optimizer.summary().)");
    }
  };
  for (const auto& [kind, sentence] : degradations_.sentences) {
    if (warned_of_.insert(kind).second) {
      TORCH_WARN("natgrad: ", sentence, ". (Said once; see optimizer.summary().)");
    }
  }
  switch (summary_.outcome) {
    case StepOutcome::SolverFailed:
    case StepOutcome::DampingExhausted:
    case StepOutcome::NonFiniteLoss:
    case StepOutcome::NonFiniteGradient:
      return say(warned_of_failure_);
    default:
      break;
  }
  if (summary_.solver.termination == Termination::NegativeCurvature) say(warned_of_curvature_);
}

}  // namespace natgrad
