#include <natgrad/step_control/learning_rate.h>
#include <torch/types.h>

namespace natgrad {

Step LearningRate::choose(const StepProblem& problem) {
  return {problem.at_rate(problem.solution.x), problem.solution.x};
}

std::unique_ptr<StepRule> LearningRate::clone() const {
  return std::make_unique<LearningRate>(*this);
}

}  // namespace natgrad
