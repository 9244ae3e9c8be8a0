#include <natgrad/step_control/step_rule.h>
#include <torch/types.h>

namespace natgrad {

void StepRule::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.empty(), "natgrad: ", describe(),
              " has no state, but was given that of another step rule.");
}

}  // namespace natgrad
