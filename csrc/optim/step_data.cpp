#include "optim/step_data.h"
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

namespace {

std::optional<ReplayedBatch> if_given(const Batch& batch, const std::vector<Tensor>& parameters,
                                      const NaturalGradientOptions& system) {
  if (!batch.is_given()) return std::nullopt;
  return ReplayedBatch(batch, parameters, Model(system));
}

}  // namespace

StepData::StepData(const Batches& batches, const std::vector<Tensor>& parameters,
                   const std::vector<torch::optim::OptimizerParamGroup>& groups,
                   const NaturalGradientOptions& system, uint64_t stream, bool can_try)
    : gradient_batch_(batches.gradient, parameters, Model(system)),
      curvature_batch_(if_given(batches.curvature, parameters, system)),
      trial_batch_(if_given(batches.trial, parameters, system)),
      h_(gradient_batch_, groups, system, stream,
         curvature_batch_ ? Evaluator::Use::Gradient : Evaluator::Use::Both),
      can_try_(can_try) {
  if (curvature_batch_ && !h_.faulty_loss().defined()) {
    h_of_curvature_.emplace(*curvature_batch_, groups, system, stream, Evaluator::Use::Curvature);
  }
}

const Tensor& StepData::faulty_loss() const {
  return h_of_curvature_ ? h_of_curvature_->faulty_loss() : h_.faulty_loss();
}

}  // namespace natgrad::detail
