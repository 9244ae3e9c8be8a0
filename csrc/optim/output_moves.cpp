#include "optim/output_moves.h"

#include <torch/torch.h>

#include <algorithm>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// ∂(-log r)/∂z of a term, negated and without its weights.
Tensor score_of(const LossTerm& term) {
  const auto gradient = term.gradient.detach();
  return torch::where(term.weights.ne(0).expand_as(gradient), -gradient / term.weights, 0);
}

bool is_measured(const LossTerm& term) {
  if (term.is_own() || !term.gradient.defined()) return false;
  const auto none = torch::zeros_like(term.likelihood->outputs().detach());
  return term.likelihood->output_change(none, none).has_value();
}

}  // namespace

OutputMove output_move(const LossGraph& graph, const Tensor& v) {
  const torch::NoGradGuard no_grad;
  OutputMove all;
  const bool is_read = graph.is_readable();
  if (!is_read || std::none_of(graph.terms().begin(), graph.terms().end(), is_measured)) return all;
  const auto moves = graph.multiply_jacobian(v);
  for (const auto& term : graph.terms()) {
    if (!is_measured(term)) continue;
    const auto weights = term.weights.expand_as(term.gradient).abs();
    if (weights.sum().item<double>() == 0) continue;  // all of its examples are ignored
    const auto change = term.likelihood->output_change(score_of(term), moves[term.output].detach());
    const auto rise = (weights * change->loss.clamp_min(0)).sum() / weights.sum();
    all.reach = std::max(all.reach, change->reach.max().item<double>());
    all.rise += rise.item<double>();
  }
  return all;
}

}  // namespace natgrad::detail
