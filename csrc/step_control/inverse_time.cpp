#include <fmt/format.h>
#include <natgrad/step_control/inverse_time.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

InverseTime::InverseTime(double c) : c_(c) {
  TORCH_CHECK(c > 0 && std::isfinite(c), "natgrad: InverseTime's c is a finite number > 0, but is ",
              c, ". 1 is the most efficient; c <= 1/2 does not reach the rate 1/N.");
}

Step InverseTime::choose(const StepProblem& problem) {
  ++steps_;
  const double rate = c_ / static_cast<double>(steps_);
  return {rate * problem.at_rate(problem.solution.x), problem.solution.x};
}

void InverseTime::set_state(const std::vector<double>& state) {
  TORCH_CHECK(state.size() == 1 && state[0] >= 0 && std::isfinite(state[0]),
              "natgrad: InverseTime's state is a number of steps, but got ",
              c10::ArrayRef<double>(state), ".");
  steps_ = static_cast<int64_t>(state[0]);
}

std::string InverseTime::describe() const { return fmt::format("InverseTime({})", c_); }

std::unique_ptr<StepRule> InverseTime::clone() const {
  return std::make_unique<InverseTime>(*this);
}

}  // namespace natgrad
