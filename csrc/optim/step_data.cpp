#include "optim/step_data.h"
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

StepData::StepData(const Batches& batches, const std::vector<Tensor>& parameters,
                   const std::vector<torch::optim::OptimizerParamGroup>& groups,
                   const NaturalGradientOptions& system, uint64_t stream, bool can_try)
    : system_(system),
      gradient_batch_(batches.gradient, parameters, system.module()),
      h_(gradient_batch_, groups, system, stream),
      can_try_(can_try) {
  if (batches.curvature.is_given()) {
    curvature_batch_.emplace(batches.curvature, parameters, system.module());
    h_of_curvature_.emplace(*curvature_batch_, groups, system, stream);
  }
  if (batches.trial.is_given()) {
    trial_batch_.emplace(batches.trial, parameters, system.module());
  }
}

const Tensor& StepData::evaluate() {
  const auto terms = terms_of(system_.curvature());
  const auto& loss = h_.evaluate(h_of_curvature_ ? Terms::WhenAsked : terms);
  if (h_of_curvature_ && !h_.faulty_loss().defined()) {
    h_of_curvature_->evaluate(terms, Objective::Gradient::NotNeeded);
  }
  return loss;
}

const Tensor& StepData::faulty_loss() const {
  return h_.faulty_loss().defined() || !h_of_curvature_ ? h_.faulty_loss()
                                                        : h_of_curvature_->faulty_loss();
}

}  // namespace natgrad::detail
