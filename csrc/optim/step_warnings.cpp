// What a step says besides its summary: habits and failures that a loop would not notice.

#include <torch/torch.h>

#include <utility>

#include "optim/clipped_gradients.h"
#include "optim/natural_gradient_impl.h"

namespace natgrad {

using torch::Tensor;

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
