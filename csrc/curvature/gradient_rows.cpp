#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <utility>

#include "curvature/outer_products.h"
#include "curvature/targeted_rows.h"
#include "graph/loss_graph_state.h"
#include "graph/sign_by_kind.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr auto kGradientRows = "gradient rows";

int64_t rows_at(const Tensor& g) { return g.dim() == 0 ? 1 : g.size(0); }

/// g·v of each example, [N].
Tensor products_by_example(const Tensor& g, const Tensor& v) {
  return (g * v).reshape({rows_at(g), -1}).sum(1);
}

/// ∂h/∂z by output; zero where nothing depends on it.
std::vector<Tensor> gradients_at_outputs(const LossGraph& graph) {
  auto sums = sum_by_output(graph, [](const LossTerm& term) {
    return term.gradient.defined() ? term.gradient.detach() : Tensor();
  });
  for (size_t k = 0; k < sums.size(); ++k) {
    if (!sums[k].defined()) sums[k] = detail::zeros_at(detail::output_edges(graph)[k]);
  }
  return sums;
}

/// ∇²_z h g by output, as far as it is known; else undefined.
std::vector<Tensor> hessian_along(const LossGraph& graph, const std::vector<Tensor>& g) {
  try {
    if (detail::has_loss_hessian(graph)) return graph.multiply_loss_hessian(g);
  } catch (const c10::NotImplementedError&) {
  }
  return std::vector<Tensor>(g.size());
}

/// w.
double weight_of_square(const LossGraph& graph, double examples) {
  const double h = detail::loss_of(graph).item<double>();
  const bool is_square = h > 0 && detail::is_non_negative_by_kind(detail::root_edge(graph));
  return is_square ? examples / (2 * h) : examples;
}

/// What is known of the examples whose rows some outputs hold.
struct Examples {
  std::vector<size_t> outputs;
  Tensor squares;     ///< ‖gᵢ‖², [N]
  Tensor curvatures;  ///< gᵢᵀ(∇²_z h g)ᵢ, [N]
};

/// By their number, outputs of the same number together.
std::map<int64_t, Examples> examples_of(const std::vector<Tensor>& g,
                                        const std::vector<Tensor>& Hg) {
  std::map<int64_t, Examples> groups;
  for (size_t k = 0; k < g.size(); ++k) {
    auto& group = groups[rows_at(g[k])];
    group.outputs.push_back(k);
    const auto squares = products_by_example(g[k], g[k]);
    group.squares = group.squares.defined() ? group.squares + squares : squares;
    if (!group.curvatures.defined()) group.curvatures = torch::zeros_like(squares);
    if (Hg[k].defined()) group.curvatures += products_by_example(g[k], Hg[k].detach());
  }
  return groups;
}

/// √κᵢ/‖gᵢ‖, [N]; zero where there is no gradient.
Tensor scales_of(const Examples& examples, double weight) {
  const auto& squares = examples.squares;
  const auto along = (examples.curvatures / squares.square()).nan_to_num_(0, 0, 0);
  const auto scales = along.clamp_min_(weight).sqrt_();
  return torch::where(squares > 0, scales, 0);
}

Tensor by_example(const Tensor& numbers, const Tensor& g) {
  std::vector<int64_t> shape(static_cast<size_t>(g.dim()), 1);
  if (g.dim() > 0) shape[0] = g.size(0);
  return numbers.view(shape);
}

detail::RowSeed seed_of(const LossGraph& graph, const std::vector<Tensor>& g,
                        const Tensor& scales) {
  const auto dtype = graph.parameters().options().dtype();
  std::vector<Tensor> scaled;
  for (const auto& one : g) scaled.push_back(one * by_example(scales, one));
  const auto targets = torch::where(scales > 0, -1 / scales, 0).to(dtype);
  return {{{detail::output_edges(graph), std::move(scaled)}}, torch::ones_like(targets), targets};
}

CurvatureAt by_products(const LossGraph& graph, const std::vector<Tensor>& g,
                        const std::map<int64_t, Examples>& groups, double weight) {
  std::vector<detail::ExampleVectors> sets;
  for (const auto& [count, examples] : groups) {
    detail::ExampleVectors set{std::vector<Tensor>(g.size()), scales_of(examples, weight),
                               torch::ones_like(examples.squares)};
    for (const auto k : examples.outputs) set.u[k] = g[k];
    sets.push_back(std::move(set));
  }
  CurvatureAt at(graph, detail::sum_of_outer_products(graph, kGradientRows, std::move(sets)));
  at.choice = kGradientRows;
  return at;
}

}  // namespace

CurvatureAt GradientRows::at(const LossGraph& graph) const {
  const torch::NoGradGuard no_grad;
  const auto g = gradients_at_outputs(graph);
  const auto groups = examples_of(g, hessian_along(graph, g));
  const double weight = weight_of_square(graph, static_cast<double>(groups.rbegin()->first));
  if (groups.size() > 1) return by_products(graph, g, groups, weight);
  const auto scales = scales_of(groups.begin()->second, weight);
  auto seed = seed_of(graph, g, scales);
  // Shares of ∇h, which are scaled as shares: where the examples are coupled, those below scaled g
  // would not add up to it.
  auto captured = detail::capture_shares_below({detail::output_edges(graph), g}, graph);
  detail::scale_examples(captured, scales);
  if (detail::are_too_many(captured, graph.parameters())) {
    return by_products(graph, g, groups, weight);
  }
  return detail::at_rows(
      std::make_shared<const detail::TargetedRows>(std::move(seed), std::move(captured), graph),
      kGradientRows);
}

namespace {

// Directions beside the gradient: a loss that is not convex is seen as such by one of a batch's
// examples.
constexpr int kDirections = 3;
// Of the largest curvature, what rounding may make of none.
constexpr double kRounding = 1e-5;

bool bends_down_along(const LossGraph& graph, const std::vector<Tensor>& v) {
  const auto groups = examples_of(v, hessian_along(graph, v));
  return std::any_of(groups.begin(), groups.end(), [](const auto& group) {
    const auto& curvatures = group.second.curvatures;
    return (curvatures.min() < -kRounding * curvatures.abs().max()).template item<bool>();
  });
}

}  // namespace

bool is_convex_along_gradient(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  const auto g = gradients_at_outputs(graph);
  const auto groups = examples_of(g, hessian_along(graph, g));
  const bool bends_up = std::all_of(groups.begin(), groups.end(), [](const auto& group) {
    const auto& [count, examples] = group;
    return examples.squares.eq(0).logical_or(examples.curvatures > 0).all().template item<bool>();
  });
  if (!bends_up) return false;
  auto generator = graph.generator(Purpose::Linearity);
  for (int direction = 0; direction < kDirections; ++direction) {
    std::vector<Tensor> v;
    for (const auto& one : g) v.push_back(random_normal(one.sizes(), one.options(), generator));
    if (bends_down_along(graph, v)) return false;
  }
  return true;
}

std::shared_ptr<const Curvature> GradientRows::clone() const {
  return std::make_shared<GradientRows>(*this);
}

}  // namespace natgrad
