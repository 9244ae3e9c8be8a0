#include "optim/output_moves.h"

#include <torch/torch.h>

#include <algorithm>

#include "graph/term_score.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

bool has_family(const LossTerm& term) { return !term.is_own() && term.gradient.defined(); }

/// Whether its family measures moves at all.
bool is_measured(const LossTerm& term) {
  if (!has_family(term)) return false;
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
    if (!has_family(term)) continue;
    const auto change = term.likelihood->output_change(score_of(term), moves[term.output].detach());
    if (!change) continue;
    const auto weights = term.weights.expand_as(term.gradient).abs();
    const auto rise = (weights * change->loss.clamp_min(0)).sum() / weights.sum();
    all.reach = std::max(all.reach, change->reach.max().item<double>());
    all.rise += rise.item<double>();
  }
  return all;
}

}  // namespace natgrad::detail
