#include "diagnostics/probed_model.h"

#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

ProbedModel::ProbedModel(std::vector<Tensor> parameters, std::function<Tensor()> loss)
    : batch_(Batch(std::move(loss)), parameters, Model()) {
  check_parameters(parameters);
  const torch::AutoGradMode enable_grad(true);
  Preserved before;
  before.generators(parameters.front().device());
  graph_.emplace(batch_.evaluate(0), std::move(parameters));
  check_has_fisher(*graph_);
}

bool ProbedModel::at(const Tensor& d, const std::function<void(const LossGraph& graph)>& look) {
  const auto& layout = parameters();
  TORCH_CHECK_VALUE(d.sizes() == torch::IntArrayRef({layout.size()}),
                    "natgrad: a displacement is one vector of the ", layout.size(),
                    " parameters, but got ", d.sizes(), ".");
  const torch::AutoGradMode enable_grad(true);
  const auto theta = layout.values() + d.detach().to(layout.options());
  Preserved before;
  before.exchange_data(layout.tensors(), layout.views(theta));
  std::optional<Tensor> loss;
  try {
    loss = batch_.evaluate(0);
  } catch (const OutsideDomain&) {
    return false;
  }
  look(LossGraph(*loss, layout.tensors()));
  return true;
}

}  // namespace natgrad::detail
