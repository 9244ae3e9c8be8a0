#include <natgrad/step_control/step_rule.h>
#include <torch/torch.h>

namespace natgrad {

void StepRule::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.empty(), "natgrad: ", describe(),
              " has no state, but was given that of another step rule.");
}

void StepRule::shorten(Step& step, double share) const {
  step.displacement = share * step.displacement;
  if (step.kept.defined()) step.kept = share * step.kept;
  if (step.promised.defined()) step.promised = share * step.promised;
  step.loss = std::nullopt;  // that was elsewhere
}

}  // namespace natgrad
