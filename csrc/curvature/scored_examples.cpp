#include "curvature/scored_examples.h"

#include <fmt/format.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "graph/loss_graph_state.h"
#include "graph/term_score.h"
#include "libtorch/plain_arithmetic.h"

namespace natgrad::detail {

using torch::Tensor;

std::string why_no_score_rows(const LossGraph& graph) {
  const auto& terms = graph.terms();
  if (terms.size() != 1) return fmt::format("the loss has {} terms", terms.size());
  const auto& term = terms.front();
  if (term.is_own() || !term.likelihood) return "the loss is one of your own";
  const auto& likelihood = *term.likelihood;
  const auto examples = likelihood.examples();
  if (likelihood.example_dim() != 0 || likelihood.outputs().dim() == 0) {
    return "the examples are not in dimension 0 of the outputs";
  }
  if (likelihood.observations() != examples) {
    return fmt::format("{} examples hold {} observations", examples, likelihood.observations());
  }
  if (graph.negative_weights() > 0) return "some weights are negative";
  return {};
}

/// What is pulled back, one row an example.
struct ScoredExamples::Seed {
  OutputGradients gradients;  // √s q
  Tensor weights, targets;
};

ScoredExamples::Seed ScoredExamples::seed_of(const LossGraph& graph) {
  const auto reason = why_no_score_rows(graph);
  TORCH_CHECK(reason.empty(),
              "natgrad: ScoreRows() takes one row an example, the gradient of its "
              "one observation, but ",
              reason, ". Take natgrad::FisherOrGaussNewton().");
  const torch::NoGradGuard no_grad;
  const auto& term = graph.terms().front();
  const auto score = score_of(term);
  const auto [q, c] = term.likelihood->score_factor(score);
  const PlainArithmetic plain;
  // One observation, and one weight, an example.
  const auto examples = score.size(0);
  const auto dtype = graph.parameters().options().dtype();
  const auto& s = term.weights;
  const auto weights = s.expand_as(score).reshape({examples, -1}).select(1, 0).to(dtype);
  const auto targets = weights.sqrt() * c.reshape({examples}).to(dtype);
  return {{output_edges(graph), {s.sqrt() * q}}, weights, targets};
}

ScoredExamples::ScoredExamples(const LossGraph& graph) : ScoredExamples(seed_of(graph), graph) {}

ScoredExamples::ScoredExamples(Seed seed, const LossGraph& graph)
    : weights_(std::move(seed.weights)),
      targets_(std::move(seed.targets)),
      rows_(seed.gradients, graph) {}

ScoredExamples::ScoredExamples(Seed seed, Capture captured, const LossGraph& graph)
    : weights_(std::move(seed.weights)),
      targets_(std::move(seed.targets)),
      rows_(seed.gradients, std::move(captured), graph) {}

std::variant<Scored, Unfit> ScoredExamples::if_cheap(const LossGraph& graph) {
  if (!graph.is_readable()) return Unfit{"the loss cannot be read"};
  auto reason = why_no_score_rows(graph);
  if (reason.empty() && graph.has_penalties()) reason = "the loss has penalties";
  if (reason.empty()) reason = why_rows_are_dear(graph);
  if (!reason.empty()) return Unfit{reason};
  Seed seed;
  try {
    seed = seed_of(graph);
  } catch (const c10::NotImplementedError&) {  // as of a family of the user's own
    return Unfit{graph.terms().front().likelihood->describe() +
                 " does not say how to solve with its Fisher matrix"};
  }
  auto captured = capture_below(seed.gradients, graph);
  reason = why_rows_are_dear(captured, graph.parameters());
  if (!reason.empty()) return Unfit{reason};
  return Scored(new ScoredExamples(std::move(seed), std::move(captured), graph));
}

Tensor ScoredExamples::noise() const {
  const PlainArithmetic plain;
  const auto norms = rows_.squared_norms();
  const auto mean = weights_.dot(norms) / weights_.sum();
  if (const double value = mean.item<double>(); value > 0 && std::isfinite(value)) return mean;
  // In double, where there is more room; without any weight it is 0, not 0/0.
  const auto weights = weights_.to(torch::kDouble);
  return weights.dot(norms.to(torch::kDouble)) /
         weights.sum().clamp_min(std::numeric_limits<double>::min());
}

LinearOperator matrix_of(std::shared_ptr<const ScoredExamples> examples) {
  const auto& rows = examples->rows();
  Root root;
  root.rows = rows.rows();
  root.multiply = [examples](const Tensor& v) { return examples->rows().multiply(v); };
  root.multiply_transposed = [examples](const Tensor& u) {
    return examples->rows().multiply_transposed(u);
  };
  root.gram = [examples] { return examples->rows().gram(); };
  root.costs = [examples] { return examples->rows().costs(); };
  const auto multiply = [examples](const Tensor& v) {
    return examples->rows().multiply_transposed(examples->rows().multiply(v));
  };
  return LinearOperator("score rows", rows.parameters().size(), rows.parameters().options(),
                        multiply)
      .with_root(std::move(root));
}

CurvatureAt at_examples(std::shared_ptr<const ScoredExamples> examples) {
  CurvatureAt at(
      matrix_of(examples), [examples](const at::Generator&) { return examples->noise(); },
      examples->targets());
  at.choice = "score rows";
  return at;
}

}  // namespace natgrad::detail
