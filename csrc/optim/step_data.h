#pragma once

#include "detail.h"

#include "optim/objective.h"

#include <optional>

namespace natgrad::detail {

/// The objective on the batches of one step. Neither copied nor moved: its parts refer to each
/// other.
class StepData {
 public:
  /// `can_try`: whether the closures may be called at trial points.
  StepData(const Batches& batches, const std::vector<torch::Tensor>& parameters,
           const std::vector<torch::optim::OptimizerParamGroup>& groups,
           const NaturalGradientOptions& system, uint64_t stream, bool can_try);
  StepData(const StepData&) = delete;
  StepData& operator=(const StepData&) = delete;

  bool can_try() const { return can_try_; }
  /// h on the batch of the gradient.
  Objective& h() { return h_; }
  /// h on the batch of the curvature.
  Objective& of_curvature() { return h_of_curvature_ ? *h_of_curvature_ : h_; }
  /// Evaluates both; answers h of the gradient's batch.
  const torch::Tensor& evaluate();
  /// A loss of either that was not finite, with its graph; undefined if there was none.
  const torch::Tensor& faulty_loss() const;
  /// The batch of trial losses.
  ReplayedBatch& trial_batch() { return trial_batch_ ? *trial_batch_ : gradient_batch_; }
  bool has_trial_batch() const { return trial_batch_.has_value(); }

 private:
  const NaturalGradientOptions& system_;
  ReplayedBatch gradient_batch_;
  std::optional<ReplayedBatch> curvature_batch_, trial_batch_;
  Objective h_;
  std::optional<Objective> h_of_curvature_;
  bool can_try_;
};

}  // namespace natgrad::detail
