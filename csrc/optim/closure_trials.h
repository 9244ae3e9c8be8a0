#pragma once

#include <natgrad/step_control/trial_losses.h>
#include "detail.h"
#include "optim/evaluator.h"

#include <optional>

namespace natgrad::detail {

/// An evaluator's h as trial losses, by calling the closure again. Throws `c10::Error` if h(θ) is
/// another number than the first time: a closure that draws new data at each call cannot judge a
/// step.
class ClosureTrials final : public TrialLosses {
 public:
  /// `other`: the batch that steps are judged by, where it is not the evaluator's own; `compares`:
  /// whether to evaluate h(θ) again and compare. All have to outlive it.
  ClosureTrials(const Evaluator& h, ReplayedBatch* other, bool compares);

  /// Whether h(θ) was evaluated twice and was the same.
  bool is_checked() const { return is_checked_; }
  /// Compares now, unless it has been done.
  void check();
  double start() override;
  double at(const torch::Tensor& d) override;
  double at(const torch::Tensor& d, torch::Tensor& gradient) override;
  torch::Tensor residuals(const torch::Tensor& d) override;
  double rounding() override;

 private:
  double evaluate_start() const;

  const Evaluator& h_;
  ReplayedBatch& batch_;
  std::optional<double> start_;
  bool compares_, is_checked_ = false;
};

}  // namespace natgrad::detail
