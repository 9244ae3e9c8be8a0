#include "curvature/divergence.h"

#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include <optional>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// What the weights of a learnt spread are in units of 1/N; nothing without one.
std::optional<double> unit_of_spread(const LossGraph& graph) {
  for (const auto& term : graph.terms()) {
    if (term.is_own() || !dynamic_cast<const ResidualSpread*>(term.likelihood.get())) continue;
    const auto& z = term.likelihood->outputs();
    const double mean = term.weights.expand_as(z).mean().item<double>();
    if (mean > 0) return mean * static_cast<double>(term.likelihood->examples());
  }
  return std::nullopt;
}

}  // namespace

Tensor divergence_weights(const LossGraph& graph, const LossTerm& term, FisherWeights weights) {
  if (weights == FisherWeights::Uniform && !term.is_own()) {
    if (const auto unit = unit_of_spread(graph)) return term.weights / *unit;
  }
  return weights_of(term, weights);
}

// All entries of z that make one observation hold its divergence.
Tensor divergence_of_term(const LossTerm& term, const LossTerm& moved, const Tensor& weights) {
  const auto& r = *term.likelihood;
  const auto& z = r.outputs();
  const auto s = weights.detach().expand_as(z);
  const auto each = r.align(r.kl(*moved.likelihood)).expand_as(z);
  const auto counted = torch::where(s != 0, s * each, 0);
  return counted.sum(torch::kDouble) / static_cast<double>(r.outputs_per_observation());
}

void check_same_terms(const LossGraph& graph, const LossGraph& moved) {
  check_has_fisher(graph);
  check_has_fisher(moved);
  TORCH_CHECK_VALUE(
      graph.terms().size() == moved.terms().size(),
      "natgrad: the KL divergence is between one loss at two parameters, but one has ",
      graph.terms().size(), " terms and the other ", moved.terms().size(),
      ". Evaluate the same closure on the same batch for both.");
}

double divergence(const LossGraph& graph, const LossGraph& moved, FisherWeights weights) {
  const torch::NoGradGuard no_grad;
  check_same_terms(graph, moved);
  double sum = 0;
  for (size_t k = 0; k < graph.terms().size(); ++k) {
    const auto &from = graph.terms()[k], &to = moved.terms()[k];
    sum += divergence_of_term(from, to, divergence_weights(moved, to, weights)).item<double>();
  }
  return sum;
}

double half_metric(const LossGraph& graph, const std::vector<Tensor>& jv, FisherWeights weights) {
  const torch::NoGradGuard no_grad;
  check_has_fisher(graph);
  double sum = 0;
  for (const auto& term : graph.terms()) {
    const auto& d = jv[term.output];
    if (!d.defined()) continue;
    const auto s = divergence_weights(graph, term, weights);
    sum += 0.5 * (s * d * term.likelihood->fisher_multiply(d)).sum(torch::kDouble).item<double>();
  }
  return sum;
}

}  // namespace natgrad::detail
