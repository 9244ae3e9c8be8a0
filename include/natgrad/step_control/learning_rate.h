#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>

namespace natgrad {

/// θ ← θ + r α δ with the learning rate α of each parameter's group, which LibTorch's schedulers
/// drive, and the damping's r. α = 1 is the full step to the model's minimum; with a
/// tight solve and no damping, α = ε is the natural gradient descent θ ← θ - ε F⁻¹∇h itself
/// (Martens, eq. 6).
class NATGRAD_EXPORT LearningRate final : public StepRule {
 public:
  Step choose(const StepProblem& problem) override;
  bool needs_gradient() const override { return false; }
  std::string describe() const override { return "LearningRate()"; }
  std::unique_ptr<StepRule> clone() const override;
};

}  // namespace natgrad
