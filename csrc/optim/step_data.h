#pragma once

#include "detail.h"
#include "optim/evaluator.h"

#include <optional>

namespace natgrad::detail {

/// The batches of one step, and what is minimised on them. Neither copied nor moved: its parts
/// refer to each other.
class StepData {
 public:
  /// Calls the closures of gradient and curvature. `can_try`: whether they may be called at trial
  /// points. All arguments but the batches have to outlive it.
  StepData(const Batches& batches, const std::vector<torch::Tensor>& parameters,
           const std::vector<torch::optim::OptimizerParamGroup>& groups,
           const NaturalGradientOptions& system, uint64_t stream, bool can_try);
  StepData(const StepData&) = delete;
  StepData& operator=(const StepData&) = delete;

  bool can_try() const { return can_try_; }
  /// Whether the loss of the gradient's batch is finite with the parameters' data exchanged so.
  bool is_finite_at(
      const std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>>& parameters);
  /// A loss of either that was not finite, with its graph; undefined if there was none. If it is
  /// defined, use nothing of the two but `loss` and `trainable`.
  const torch::Tensor& faulty_loss() const;
  /// Lets ∇h count as so many times what it is.
  void scale_gradient(double scale) { h_.scale_gradient(scale); }
  /// On the batch of the gradient.
  const Evaluator& h() const { return h_; }
  /// On the batch of the curvature.
  const Evaluator& of_curvature() const { return h_of_curvature_ ? *h_of_curvature_ : h_; }
  /// Whether the curvature is of other examples than the gradient, or of fewer.
  bool has_partial_curvature() const { return h_of_curvature_ || h_.takes_part_of_chunks(); }
  /// The batch of trial losses, where it is not that of the gradient; else null.
  ReplayedBatch* other_trial_batch() { return trial_batch_ ? &*trial_batch_ : nullptr; }

 private:
  ReplayedBatch gradient_batch_;
  std::optional<ReplayedBatch> curvature_batch_, trial_batch_;
  Evaluator h_;
  std::optional<Evaluator> h_of_curvature_;
  bool can_try_;
};

}  // namespace natgrad::detail
