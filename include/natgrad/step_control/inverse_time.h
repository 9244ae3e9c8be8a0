#pragma once

#include <natgrad/export.h>
#include <natgrad/step_control/step_rule.h>

#include <cstdint>

namespace natgrad {

/// θ ← θ + (c/i) r α δ at the i-th step (from 1): the learning rate c/i of Robbins & Monro
/// (1951; Martens, section 9) times that of each parameter's group.
///
/// For natural gradient steps on N fresh examples, N Var θ_N → c²/(2c - 1) F⁻¹ for c > ½: least,
/// F⁻¹, for c = 1, as efficient as any estimator (Amari 1998). With c = ½ Var falls as log N/N,
/// with less as N^{-2c}. Early steps are full ones and a nonlinear model may need them shorter, for
/// which there is α.
class NATGRAD_EXPORT InverseTime final : public StepRule {
 public:
  /// c > 0.
  explicit InverseTime(double c = 1);

  Step choose(const StepProblem& problem) override;
  bool needs_gradient() const override { return false; }
  /// i, the steps taken.
  std::vector<double> state() const override { return {static_cast<double>(steps_)}; }
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<StepRule> clone() const override;

 private:
  double c_;
  int64_t steps_ = 0;
};

}  // namespace natgrad
