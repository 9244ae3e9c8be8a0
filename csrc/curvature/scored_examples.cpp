#include "curvature/scored_examples.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

#include <utility>

#include "graph/loss_graph_state.h"
#include "graph/term_score.h"
#include "libtorch/errors.h"
#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Observations an example beyond which their rows, a backward pass each, cost more than products
// with the exact matrix.
constexpr int64_t kMostObservations = 4;

/// Why a term has no row for each observation; empty if it has.
std::string why_no_rows(const LossTerm& term) {
  if (!term.likelihood) return "the loss is one of your own";
  const auto& likelihood = *term.likelihood;
  if (likelihood.example_dim() != 0 || likelihood.outputs().dim() == 0) {
    return "the examples are not in dimension 0 of the outputs";
  }
  const auto examples = likelihood.examples(), observations = likelihood.observations();
  const bool are_apart = likelihood.outputs_per_observation() == 1;
  if (observations == examples || (are_apart && observations <= kMostObservations * examples)) {
    return {};
  }
  return fmt::format("{} examples hold {} observations", examples, observations);
}

}  // namespace

std::string why_no_score_rows(const LossGraph& graph) {
  if (graph.terms().empty()) return "the loss has penalties alone";
  const auto examples = graph.examples();
  int64_t observations = 0;
  for (const auto& term : graph.terms()) {
    if (auto reason = why_no_rows(term); !reason.empty()) return reason;
    if (term.likelihood->examples() != examples) {
      return fmt::format("one term has {} examples, another one {}", examples,
                         term.likelihood->examples());
    }
    observations += term.likelihood->observations();
  }
  if (observations <= kMostObservations * examples) return {};
  return fmt::format("{} examples hold {} observations", examples, observations);
}

WeightedScore weighted_score(LossTerm term, bool is_likelihood) {
  if (!term.gradient.defined()) {
    term.gradient = torch::zeros_like(term.likelihood->outputs().detach());
  }
  if (is_likelihood && !term.is_own()) return {term.weights, score_of(term)};
  const auto s = weights_of(term, FisherWeights::Uniform);
  return {s, -term.gradient.detach() / s};
}

namespace {

/// By observation, [N, observations of an example].
Tensor by_observation(const Tensor& t, int64_t examples) { return t.reshape({examples, -1}); }

/// One slot for each observation of the term's examples, √s q, with t and s.
void add_slots(RowSeed& seed, const LossGraph& graph, const LossTerm& term, bool is_likelihood) {
  const auto& likelihood = *term.likelihood;
  const auto [s, score] = weighted_score(term, is_likelihood);
  const auto [q, c] = likelihood.score_factor(score);
  const PlainArithmetic plain;
  const auto examples = score.size(0);
  const auto count = likelihood.observations() / examples;
  const auto dtype = graph.parameters().options().dtype();
  const auto edge = output_edges(graph)[term.output];
  const auto all = by_observation(s.expand_as(score), examples).to(dtype);
  const auto weights = count == 1 ? all.narrow(1, 0, 1) : all;
  const auto targets = weights.sqrt() * by_observation(c, examples).to(dtype);
  const auto rows = s.sqrt() * q;
  for (int64_t k = 0; k < count; ++k) {
    auto u = rows;
    if (count > 1) {
      u = torch::zeros_like(rows);
      by_observation(u, examples).select(1, k).copy_(by_observation(rows, examples).select(1, k));
    }
    seed.gradients.push_back({{edge}, {std::move(u)}});
  }
  const auto append = [](Tensor& column, const Tensor& added) {
    column = column.defined() ? torch::cat({column, added.t().reshape(-1)}) : added.t().reshape(-1);
  };
  append(seed.weights, weights);
  append(seed.targets, targets);
}

}  // namespace

RowSeed score_seed(const LossGraph& graph) {
  const auto reason = why_no_score_rows(graph);
  TORCH_CHECK(reason.empty(),
              "natgrad: ScoreRows() takes one row an observation, its gradient, but ", reason,
              ". Take natgrad::FisherOrGaussNewton().");
  const torch::NoGradGuard no_grad;
  RowSeed seed;
  seed.examples = graph.distinct_examples();
  for (const auto& term : graph.terms()) {
    add_slots(seed, graph, term, graph.negative_weights() == 0);
  }
  return seed;
}

std::variant<std::shared_ptr<const TargetedRows>, Unfit> score_rows_if_cheap(
    const LossGraph& graph) {
  if (!graph.is_readable()) return Unfit{"the loss cannot be read"};
  auto reason = why_no_score_rows(graph);
  if (reason.empty() && graph.has_penalties()) reason = "the loss has penalties";
  if (reason.empty()) reason = why_rows_are_dear(graph);
  if (!reason.empty()) return Unfit{reason};
  RowSeed seed;
  try {
    seed = score_seed(graph);
  } catch (const c10::NotImplementedError& unsolved) {  // as of a family of the user's own
    return Unfit{without_prefix(unsolved.what_without_backtrace())};
  }
  auto captured = capture_slots(seed.gradients, graph);
  reason = why_rows_are_dear(captured, graph.parameters());
  if (!reason.empty()) return Unfit{reason};
  return std::make_shared<const TargetedRows>(std::move(seed), std::move(captured), graph);
}

}  // namespace natgrad::detail
