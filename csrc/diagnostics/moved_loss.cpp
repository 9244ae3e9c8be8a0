#include "diagnostics/moved_loss.h"

#include <torch/torch.h>

#include <utility>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// While `preserved` lives, the parameters are at θ + d.
void move_by(const Tensor& d, const ParameterLayout& layout, Preserved& preserved) {
  TORCH_CHECK_VALUE(d.sizes() == torch::IntArrayRef({layout.size()}),
                    "natgrad: a displacement is one vector of the ", layout.size(),
                    " parameters, but got ", d.sizes(), ".");
  const auto theta = layout.values() + d.detach().to(layout.options());
  preserved.exchange_data(layout.tensors(), layout.views(theta));
}

}  // namespace

MovedLoss::MovedLoss(std::function<Tensor()> loss, std::vector<Tensor> parameters)
    : parameters_(std::move(parameters)),
      batch_(Batch(std::move(loss)), parameters_.tensors(), Model()) {}

Tensor MovedLoss::here() {
  const torch::AutoGradMode enable_grad(true);
  Preserved before;
  before.generators(parameters_.options().device());
  return batch_.evaluate(0);
}

void MovedLoss::at(const Tensor& d, const std::function<void(const Tensor&)>& look) {
  const torch::AutoGradMode enable_grad(true);
  Preserved before;
  move_by(d, parameters_, before);
  look(batch_.evaluate(0));
}

double MovedLoss::value_at(const Tensor& d) {
  Preserved before;
  move_by(d, parameters_, before);
  return batch_.evaluate_trial(0, /*differentiable=*/false).item<double>();
}

}  // namespace natgrad::detail
