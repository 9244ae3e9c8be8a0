#include <c10/util/Exception.h>
#include <fmt/format.h>
#include <natgrad/optim/step_summary.h>

namespace natgrad {

const char* to_string(StepOutcome outcome) {
  switch (outcome) {
    case StepOutcome::Accepted:
      return "Accepted";
    case StepOutcome::ZeroGradient:
      return "ZeroGradient";
    case StepOutcome::NonFiniteLoss:
      return "NonFiniteLoss";
    case StepOutcome::NonFiniteGradient:
      return "NonFiniteGradient";
    case StepOutcome::SolverFailed:
      return "SolverFailed";
  }
  TORCH_CHECK(false, "natgrad: not a StepOutcome: ", static_cast<int>(outcome));
}

std::string StepSummary::message() const {
  return fmt::format(
      "step {}: {}{}, loss {:.6g}, |gradient| {:.3g}, lambda {:.3g}, |step| {:.3g}, "
      "{} CG iterations ({})",
      step, to_string(outcome), restored ? " (the previous step was taken back)" : "", loss,
      gradient_norm, lambda, step_norm, solver.iterations, to_string(solver.termination));
}

}  // namespace natgrad
