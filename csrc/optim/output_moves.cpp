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
    const auto weights = term.weights.expand_as(term.gradient).abs();
    const double total = weights.sum().item<double>();
    if (total == 0) continue;  // all of its examples are ignored
    const auto change = term.likelihood->output_change(score_of(term), moves[term.output].detach());
    if (!change) continue;
    const auto counts = weights.ne(0);
    const auto rises = torch::where(counts, weights * change->loss.clamp_min(0), 0);
    all.rise += rises.sum().item<double>() / total;
    const double reach = torch::where(counts, change->reach, 0).max().item<double>();
    if (!(reach <= all.reach)) all.reach = reach;  // also if it is not a number
  }
  return all;
}

}  // namespace natgrad::detail
