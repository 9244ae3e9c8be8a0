#include "diagnostics/probed_model.h"

#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// Throws where a term's outputs are parameters, or views of them: at θ + d they would be that at
/// θ, too.
void check_has_own_outputs(const LossGraph& graph) {
  for (const auto& term : graph.terms()) {
    for (const auto& parameter : graph.parameters().tensors()) {
      TORCH_CHECK_VALUE(!term.likelihood->outputs().is_alias_of(parameter),
                        "natgrad: the outputs of ", term.likelihood->describe(),
                        " are a parameter itself, which is moved here. Give it 1 * parameter.");
    }
  }
}

}  // namespace

ProbedModel::ProbedModel(std::vector<Tensor> parameters, std::function<Tensor()> loss)
    : moved_(std::move(loss), parameters) {
  graph_.emplace(moved_.here(), std::move(parameters));
  check_has_fisher(*graph_);
  check_has_own_outputs(*graph_);
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
