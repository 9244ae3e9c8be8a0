#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>

#include "curvature/output_root.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// s F_R v, one tensor per output.
std::vector<Tensor> multiply_output_fisher(const LossGraph& graph, FisherWeights weights,
                                           const std::vector<Tensor>& v) {
  return sum_by_output(graph, [&](const LossTerm& term) {
    return weights_of(term, weights) * term.likelihood->fisher_multiply(v[term.output]);
  });
}

}  // namespace

Tensor weights_of(const LossTerm& term, FisherWeights weights) {
  if (weights == FisherWeights::OfTheLoss && !term.is_own()) return term.weights;
  const auto& z = term.likelihood->outputs();
  return torch::full({}, 1.0 / static_cast<double>(term.likelihood->examples()), z.options())
      .expand_as(z);
}

bool has_fisher(const LossGraph& graph) {
  return std::all_of(graph.terms().begin(), graph.terms().end(),
                     [](const LossTerm& term) { return term.likelihood != nullptr; });
}

void check_has_fisher(const LossGraph& graph) {
  TORCH_CHECK(has_fisher(graph),
              "natgrad: the Fisher matrix needs a likelihood, but the loss is a function of "
              "natgrad::outputs(z), which has none. Use GaussNewton(), write the loss as "
              "natgrad::nll(likelihood, y), or name the outputs' distribution, as in "
              "natgrad::outputs(natgrad::Categorical(z)).");
}

LinearOperator fisher(const LossGraph& graph, FisherWeights weights) {
  check_has_fisher(graph);
  const auto F = pulled_back(
      graph,
      [graph, weights](const auto& jv) { return multiply_output_fisher(graph, weights, jv); },
      "Fisher matrix");
  return with_root_if_any(F, fisher_root(graph, weights));
}

CurvatureAt Fisher::at(const LossGraph& graph) const {
  return {fisher(graph, weights_), [graph, weights = weights_](at::Generator generator) {
            return gradient_noise(graph, std::move(generator), weights);
          }};
}

std::string Fisher::describe() const {
  return weights_ == FisherWeights::OfTheLoss ? "Fisher()" : "Fisher(weights=Uniform)";
}

std::shared_ptr<const Curvature> Fisher::clone() const { return std::make_shared<Fisher>(*this); }

}  // namespace natgrad
