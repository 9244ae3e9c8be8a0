#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>

#include "curvature/output_root.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// That of the Fisher matrix, where H_L = F_R whatever the targets are.
std::optional<Root> root_of(const LossGraph& graph) {
  const auto& terms = graph.terms();
  const bool is_fisher = std::all_of(terms.begin(), terms.end(), [](const LossTerm& term) {
    return !term.is_own() && term.likelihood->hessian_is_fisher();
  });
  return is_fisher ? fisher_root(graph, FisherWeights::OfTheLoss) : std::nullopt;
}

}  // namespace

LinearOperator gauss_newton(const LossGraph& graph) {
  const auto G = pulled_back(
      graph, [graph](const auto& jv) { return graph.multiply_loss_hessian(jv); },
      "Gauss-Newton matrix");
  return with_root_if_any(G, root_of(graph));
}

CurvatureAt GaussNewton::at(const LossGraph& graph) const {
  // Nobody has chosen the outputs of a loss that cannot be read for the loss to be convex in them.
  if (!graph.substitutes().empty() && !is_convex_along_gradient(graph)) {
    return GradientRows().at(graph);
  }
  const auto G = gauss_newton(graph);
  const auto& terms = graph.terms();
  const bool own =
      std::any_of(terms.begin(), terms.end(), [](const LossTerm& term) { return term.is_own(); });
  if (own) return {graph, G};
  return {G,
          [graph](at::Generator generator) { return gradient_noise(graph, std::move(generator)); }};
}

std::shared_ptr<const Curvature> GaussNewton::clone() const {
  return std::make_shared<GaussNewton>(*this);
}

}  // namespace natgrad
