#include "optim/end_rows.h"
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "curvature/scored_examples.h"
#include "graph/loss_graph_state.h"
#include "linalg/norm.h"
#include "optim/trainable.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// 1 GiB of rows, and the parameters up to which QR factors them.
constexpr int64_t kMostNumbers = int64_t{1} << 27, kMostColumns = 4096;
// Roundings of a residual that is no more than rounding: a model is some operations. And of a step:
// those of QR.
constexpr double kRoundingsOfModel = 64, kRoundingsOfStep = 16;

bool are_gaussian(const LossGraph& graph) {
  const auto& terms = graph.terms();
  return std::all_of(terms.begin(), terms.end(), [](const LossTerm& term) {
    return dynamic_cast<const Gaussian*>(term.likelihood.get()) != nullptr;
  });
}

int64_t observations_of(const LossGraph& graph) {
  int64_t count = 0;
  for (const auto& term : graph.terms()) {
    const auto& z = term.likelihood->outputs();
    const auto numbers = term.weights.expand_as(z).ne(0).sum().item<int64_t>();
    count += numbers / term.likelihood->outputs_per_observation();
  }
  return count;
}

bool fits(const LossGraph& graph) {
  int64_t rows = 0;
  for (const auto& term : graph.terms()) rows += term.likelihood->outputs().numel();
  const auto columns = graph.parameters().size();
  return columns <= kMostColumns && rows * columns <= kMostNumbers;
}

bool is_likelihood(const LossGraph& graph) {
  return graph.is_readable() && !graph.has_penalties() && has_fisher(graph) &&
         std::none_of(graph.terms().begin(), graph.terms().end(),
                      [](const LossTerm& term) { return term.is_own(); }) &&
         graph.negative_weights() == 0;
}

constexpr int64_t kVainSteps = 4;
constexpr double kProgress = 0.9;
// Farther off, by offset and by step, h is the better judge; nearer there is nothing left to gain.
constexpr double kNear = 1e-4, kShort = 1e-6, kDone = 1e-15;

bool is_worth_a_step(const std::optional<EndRows>& rows, const Tensor& theta) {
  if (!rows || !rows->is_determined() || !(rows->offset() > kDone)) return false;
  const auto is_short = rows->step().abs() <= kShort * theta.abs();
  return rows->offset() <= kNear || is_short.all().item<bool>();
}

}  // namespace

LossGraph Objective::graph() const {
  const torch::AutoGradMode enable_grad(true);
  return {closure(), layout.tensors(), Terms::WhenAsked};
}

Tensor Objective::gradient(const LossGraph& graph) const {
  const auto g = sign * graph.gradient();
  return decay.defined() ? g + decay * layout.values() : g;
}

LinearOperator Objective::hessian(const LossGraph& graph) const {
  const auto H = sign * natgrad::hessian(graph);
  return decay.defined() ? H + diagonal_operator(decay.expand({layout.size()}).contiguous()) : H;
}

Objective objective_of(const NaturalGradient& optimizer,
                       const NaturalGradient::LossClosure& closure) {
  const auto all = trainable_of(optimizer.param_groups());
  Trainable moved;
  bool maximizes = false;
  for (const auto& [options, begin, end] : all.groups) {
    if (options->lr() == 0) continue;
    maximizes = options->maximize();
    const auto first = moved.parameters.size();
    for (size_t i = begin; i < end; ++i) moved.parameters.push_back(all.parameters[i]);
    moved.groups.push_back({options, first, moved.parameters.size()});
  }
  TORCH_CHECK(!moved.parameters.empty(), "natgrad: minimise moves nothing: every group's lr is 0.");
  ParameterLayout layout(moved.parameters);
  auto decay = weight_decay(moved, layout);
  return {std::move(layout), closure, maximizes ? -1. : 1., std::move(decay)};
}

double EndRows::reach() const {
  if (!std::isfinite(norm_in_double(triangle))) return std::numeric_limits<double>::quiet_NaN();
  if (has_full_rank()) return norm_in_double(right);
  const auto [directions, s, others] = torch::linalg_svd(triangle, /*full_matrices=*/false);
  const auto kept = s > static_cast<double>(triangle.size(1)) * rounding * s.max();
  return norm_in_double(directions.t().mv(right) * kept);
}

double EndRows::offset() const {
  const double size = norm_in_double(residuals);
  return size == 0 ? 0 : reach() / size;
}

Tensor EndRows::column_norms() const {
  const auto largest = R.abs().amax({0}), unit = torch::where(largest > 0, largest, 1);
  return unit * (R / unit).norm(2, {0});
}

bool EndRows::has_full_rank() const {
  const auto columns = triangle.size(1);
  if (triangle.size(0) < columns) return false;
  const auto pivots = triangle.diagonal().abs();
  return (pivots.min() > static_cast<double>(columns) * rounding * pivots.max()).item<bool>();
}

bool EndRows::is_determined() const { return observations >= triangle.size(1) && has_full_rank(); }

bool EndRows::are_rounding(const Tensor& theta) const {
  const double whole = norm_in_double(R.abs().mv(theta.abs()));
  return norm_in_double(residuals) <= kRoundingsOfModel * rounding * whole;
}

Tensor EndRows::solve(const Tensor& b) const {
  return torch::linalg_solve_triangular(triangle, b, /*upper=*/true) / lengths.unsqueeze(1);
}

Tensor EndRows::rounding_of_step() const {
  const auto inverse = solve(torch::eye(triangle.size(1), triangle.options()));
  return kRoundingsOfStep * rounding * norm_in_double(residuals) * inverse.norm(2, {1});
}

int64_t EndRows::counted() const {
  return R.ne(0).any(1).logical_or(residuals.ne(0)).sum().item<int64_t>();
}

std::optional<EndRows> end_rows(const Objective& objective, const LossGraph& graph) {
  if (!objective.is_plain() || !is_likelihood(graph) || !fits(graph)) return std::nullopt;
  const auto at = FisherRows().at(graph);
  if (!at.targets.defined()) return std::nullopt;
  const torch::NoGradGuard no_grad;
  EndRows rows;
  rows.R = at.matrix.root_form()->root->matrix().to(torch::kDouble);
  rows.residuals = at.targets.to(torch::kDouble);
  rows.are_squared_errors = are_gaussian(graph);
  rows.observations = rows.are_squared_errors ? rows.counted() : observations_of(graph);
  rows.rounding = rounding_of(graph.parameters().options());
  const auto columns = rows.column_norms();
  rows.lengths = torch::where(columns > 0, columns, 1);
  const auto [reflectors, scales] = torch::geqrf(rows.R / rows.lengths);
  const auto count = std::min(rows.R.size(0), rows.R.size(1));
  rows.triangle = reflectors.narrow(0, 0, count).triu();
  rows.right = torch::ormqr(reflectors, scales, rows.residuals.unsqueeze(1), /*left=*/true,
                            /*transpose=*/true)
                   .squeeze(1)
                   .narrow(0, 0, count);
  return rows;
}

void polish(const Objective& objective) {
  const auto& layout = objective.layout;
  const auto here = [&] { return layout.values().to(torch::kDouble); };
  auto best = layout.values();
  auto rows = end_rows(objective, objective.graph());
  double least = rows ? rows->reach() : 0;
  for (int64_t vain = 0; vain < kVainSteps && is_worth_a_step(rows, here());) {
    layout.assign((here() + rows->step()).to(layout.options()));
    rows = end_rows(objective, objective.graph());
    const double reach = rows ? rows->reach() : std::numeric_limits<double>::infinity();
    vain = reach < kProgress * least ? 0 : vain + 1;
    if (!(reach < least)) continue;
    least = reach;
    best = layout.values();
  }
  layout.assign(best);
}

}  // namespace natgrad::detail
