#include "diagnostics/probed_model.h"

#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

ProbedModel::ProbedModel(std::vector<Tensor> parameters, std::function<Tensor()> loss)
    : moved_(std::move(loss), parameters) {
  graph_.emplace(moved_.here(), std::move(parameters));
  check_has_fisher(*graph_);
}

bool ProbedModel::at(const Tensor& d, const std::function<void(const LossGraph& graph)>& look) {
  bool is_shown = false;
  try {
    moved_.at(d, [&](const Tensor& h) {
      is_shown = true;
      look(LossGraph(h, parameters().tensors()));
    });
  } catch (const OutsideDomain&) {
    if (is_shown) throw;
  }
  return is_shown;
}

}  // namespace natgrad::detail
