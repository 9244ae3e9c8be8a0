#include <fmt/format.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/torch.h>

#include <optional>
#include <set>

#include <c10/util/StringUtil.h>

#include "curvature/explicit_rows.h"
#include "curvature/scored_examples.h"
#include "graph/jacobian_rows.h"
#include "graph/loss_graph_state.h"
#include "linalg/vmap.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr auto kFisherByRows = "Fisher matrix by its rows";
// 1 GiB in double.
constexpr int64_t kMostNumbersOfRows = int64_t{1} << 27;

/// √s B, and t with Σ (√s B) t = s g; undefined where the family does not say.
struct ScoredDirections {
  OutputDirections directions;
  Tensor targets;
};

bool has_examples_in_front(const Likelihood& likelihood) {
  return likelihood.example_dim() == 0 && likelihood.outputs().dim() > 0;
}

/// The numbers of [N, k] in rows of their own, [k, N, ...] like z.
Tensor one_by_one(const Tensor& by_example, at::IntArrayRef shape_of_z) {
  auto shape = shape_of_z.vec();
  shape.insert(shape.begin(), by_example.size(1));
  return by_example.diag_embed().permute({1, 0, 2}).reshape(shape);
}

/// Where one output makes an observation B is a number, √F_R.
ScoredDirections scalar_directions(const LossTerm& term, const WeightedScore& scored,
                                   int64_t examples) {
  const auto [q, c] = term.likelihood->score_factor(scored.score);
  const auto root = scored.weights.sqrt();
  const auto z = q.sizes();
  return {{term.output, examples, one_by_one((root * q).reshape({examples, -1}), z)},
          (root * c).expand(z).reshape({examples, -1}).t().reshape(-1)};
}

/// B r for each unit vector r at the examples' outputs, [D, ...] like z.
Tensor columns_of_factor(const Likelihood& likelihood, int64_t examples) {
  const auto z = likelihood.outputs().detach();
  const auto count = z.numel() / examples;
  const auto units = one_by_one(torch::ones({examples, count}, z.options()), z.sizes());
  const auto multiply = [&](const auto& r) { return likelihood.factor_multiply(r.front()); };
  if (const auto all = vmap(multiply, {units})) return *all;
  std::vector<Tensor> columns;
  for (const auto& unit : units.unbind()) columns.push_back(likelihood.factor_multiply(unit));
  return torch::stack(columns);
}

Tensor targets_of(const Likelihood& likelihood, const Tensor& score, const OutputDirections& to) {
  try {
    const auto natural = likelihood.fisher_solve(score);
    return (to.u * natural).reshape({to.u.size(0), to.examples, -1}).sum(2).reshape(-1);
  } catch (const c10::NotImplementedError&) {
    return {};
  }
}

ScoredDirections directions_of(const LossTerm& term, bool is_likelihood) {
  const auto& likelihood = *term.likelihood;
  const auto scored = weighted_score(term, is_likelihood);
  const auto examples = has_examples_in_front(likelihood) ? likelihood.outputs().size(0) : 1;
  if (likelihood.outputs_per_observation() == 1) {
    return scalar_directions(term, scored, examples);
  }
  const auto u = scored.weights.sqrt() * columns_of_factor(likelihood, examples);
  OutputDirections directions{term.output, examples, u};
  auto targets = targets_of(likelihood, scored.score, directions);
  return {std::move(directions), std::move(targets)};
}

void check_size(int64_t rows, int64_t parameters) {
  TORCH_CHECK(
      rows * parameters <= kMostNumbersOfRows,
      "natgrad: FisherRows() holds a row of P = ", parameters, " numbers for each of ", rows,
      " outputs, ", fmt::format("{:.2g} GB. ", 8e-9 * static_cast<double>(rows * parameters)),
      "Take natgrad::FisherOrGaussNewton(), which needs products only, or smaller batches.");
}

/// R and t, and how R was formed.
struct FisherRowsOf {
  Tensor rows, targets;
  std::set<std::string> routes;
};

FisherRowsOf fisher_rows_of(const LossGraph& graph) {
  check_has_fisher(graph);
  TORCH_CHECK(graph.negative_weights() == 0, "natgrad: ", graph.negative_weights(),
              " of the loss's weights are negative, and the Fisher matrix is RᵀR only where none "
              "is. Take natgrad::FisherOrGaussNewton().");
  const torch::NoGradGuard no_grad;
  std::vector<ScoredDirections> terms;
  int64_t count = 0;
  for (const auto& term : graph.terms()) {
    const auto& likelihood = *term.likelihood;
    check_size(count + likelihood.outputs().numel(), graph.parameters().size());
    terms.push_back(directions_of(term, /*is_likelihood=*/true));
    count += terms.back().directions.rows();
  }
  FisherRowsOf result{
      torch::empty({count, graph.parameters().size()}, graph.parameters().options()), {}, {}};
  std::vector<Tensor> targets;
  int64_t first = 0;
  for (const auto& [directions, t] : terms) {
    const auto rows = result.rows.narrow(0, first, directions.rows());
    result.routes.insert(write_jacobian_rows(rows, directions, graph));
    first += directions.rows();
    if (t.defined()) targets.push_back(t.to(result.rows.dtype()));
  }
  if (targets.size() == terms.size()) result.targets = torch::cat(targets);
  return result;
}

}  // namespace

LinearOperator fisher_rows(const LossGraph& graph) {
  return operator_of_rows(fisher_rows_of(graph).rows, kFisherByRows);
}

CurvatureAt FisherRows::at(const LossGraph& graph) const {
  const auto formed = fisher_rows_of(graph);
  CurvatureAt at(graph, operator_of_rows(formed.rows, kFisherByRows));
  at.targets = formed.targets;
  at.choice = fmt::format("{} rows by {}", formed.rows.size(0), c10::Join(", ", formed.routes));
  return at;
}

Tensor FisherRows::residuals(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> residuals;
  if (!graph.is_readable() || !has_fisher(graph) || graph.has_penalties()) return {};
  for (const auto& term : graph.terms()) {
    if (term.is_own() || !dynamic_cast<const Gaussian*>(term.likelihood.get())) return {};
    const auto t = directions_of(term, /*is_likelihood=*/true).targets;
    residuals.push_back(t.to(graph.parameters().options().dtype()));
  }
  return torch::cat(residuals);
}

std::shared_ptr<const Curvature> FisherRows::clone() const {
  return std::make_shared<FisherRows>(*this);
}

}  // namespace natgrad
