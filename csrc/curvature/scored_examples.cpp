#include "curvature/scored_examples.h"

#include <fmt/format.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <utility>

#include "graph/loss_graph_state.h"
#include "graph/term_score.h"
#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

std::string why_no_score_rows(const LossGraph& graph) {
  const auto& terms = graph.terms();
  if (terms.size() != 1) return fmt::format("the loss has {} terms", terms.size());
  const auto& term = terms.front();
  if (!term.likelihood) return "the loss is one of your own";
  const auto& likelihood = *term.likelihood;
  const auto examples = likelihood.examples();
  if (likelihood.example_dim() != 0 || likelihood.outputs().dim() == 0) {
    return "the examples are not in dimension 0 of the outputs";
  }
  if (likelihood.observations() != examples) {
    return fmt::format("{} examples hold {} observations", examples, likelihood.observations());
  }
  return {};
}

namespace {

/// s and g = ∇_z log r(y|z); of an objective that is no likelihood, as with named outputs or under
/// advantages of either sign, s = 1/N and g = -∂h/∂z/s.
std::pair<Tensor, Tensor> weights_and_score(const LossTerm& term, bool is_likelihood) {
  if (is_likelihood) return {term.weights, score_of(term)};
  const auto s = weights_of(term, FisherWeights::Uniform);
  return {s, -term.gradient.detach() / s};
}

}  // namespace

RowSeed score_seed(const LossGraph& graph) {
  const auto reason = why_no_score_rows(graph);
  TORCH_CHECK(reason.empty(),
              "natgrad: ScoreRows() takes one row an example, the gradient of its "
              "one observation, but ",
              reason, ". Take natgrad::FisherOrGaussNewton().");
  const torch::NoGradGuard no_grad;
  const auto& term = graph.terms().front();
  const auto [s, score] = weights_and_score(term, !term.is_own() && graph.negative_weights() == 0);
  const auto [q, c] = term.likelihood->score_factor(score);
  const PlainArithmetic plain;
  // One observation, and one weight, an example.
  const auto examples = score.size(0);
  const auto dtype = graph.parameters().options().dtype();
  const auto weights = s.expand_as(score).reshape({examples, -1}).select(1, 0).to(dtype);
  const auto targets = weights.sqrt() * c.reshape({examples}).to(dtype);
  return {{output_edges(graph), {s.sqrt() * q}}, weights, targets};
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
  } catch (const c10::NotImplementedError&) {  // as of a family of the user's own
    return Unfit{graph.terms().front().likelihood->describe() +
                 " does not say how to solve with its Fisher matrix"};
  }
  auto captured = capture_below(seed.gradients, graph);
  reason = why_rows_are_dear(captured, graph.parameters());
  if (!reason.empty()) return Unfit{reason};
  return std::make_shared<const TargetedRows>(std::move(seed), std::move(captured), graph);
}

}  // namespace natgrad::detail
