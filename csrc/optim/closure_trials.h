#pragma once

#include "detail.h"

#include <natgrad/step_control/trial_losses.h>
#include "optim/objective.h"

#include <optional>

namespace natgrad::detail {

/// Trial losses of the optimizer's objective, weight decay included, by calling the closure again.
///
/// The parameters are moved by exchanging their data, not by writing to it, so that graphs of θ
/// stay valid. Throws `c10::Error` if h(θ) is another number than the first time: a closure that
/// draws new data at each call cannot judge a step.
class ClosureTrials final : public TrialLosses {
 public:
  /// `known`: h(θ) on this batch where it has been evaluated; `first`: whether to evaluate it again
  /// and compare.
  ClosureTrials(ReplayedBatch& batch, const ParameterLayout& parameters, torch::Tensor weight_decay,
                bool maximize, std::optional<double> known, bool first);

  /// Whether h(θ) was evaluated twice and was the same.
  bool is_checked() const { return is_checked_; }
  /// Compares now, unless it has been done.
  void check();
  double start() override;
  double at(const torch::Tensor& d) override;
  double at(const torch::Tensor& d, torch::Tensor& gradient) override;
  double rounding() override;

 private:
  double evaluate(const torch::Tensor& theta, torch::Tensor* gradient);

  ReplayedBatch& batch_;
  const ParameterLayout& parameters_;
  torch::Tensor weight_decay_;
  double sign_;
  std::optional<double> start_;
  bool compares_, is_checked_ = false;
};

}  // namespace natgrad::detail
