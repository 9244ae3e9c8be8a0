#include "optim/step_data.h"
#include <torch/torch.h>

#include <cmath>

#include "optim/preserved.h"

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

bool StepData::is_finite_at(const std::pair<std::vector<Tensor>, std::vector<Tensor>>& parameters) {
  Preserved before;
  before.exchange_data(parameters.first, parameters.second);
  for (int64_t k = 0; k < gradient_batch_.chunks(); ++k) {
    const auto loss = gradient_batch_.evaluate_trial(k, /*differentiable=*/false);
    if (!std::isfinite(loss.item<double>())) return false;
  }
  return true;
}

const Tensor& StepData::faulty_loss() const {
  return h_of_curvature_ ? h_of_curvature_->faulty_loss() : h_.faulty_loss();
}

}  // namespace natgrad::detail
