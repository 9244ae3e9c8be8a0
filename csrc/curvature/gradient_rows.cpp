#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "curvature/outer_products.h"
#include "curvature/targeted_rows.h"
#include "graph/loss_graph_state.h"
#include "graph/sign_by_kind.h"
#include "libtorch/edges.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr auto kGradientRows = "gradient rows";

int64_t rows_at(const Tensor& g) { return g.dim() == 0 ? 1 : g.size(0); }

/// g·v of each example, [N], in double.
Tensor products_by_example(const Tensor& g, const Tensor& v) {
  return (g * v).reshape({rows_at(g), -1}).sum(1, /*keepdim=*/false, torch::kDouble);
}

void check_examples_come_first(const LossGraph& graph) {
  for (const auto& term : graph.terms()) {
    TORCH_CHECK(!term.likelihood || term.likelihood->example_dim() == 0,
                "natgrad: GradientRows() needs the examples in dimension 0 of the outputs, but in ",
                term.likelihood->describe(), " that is one of an observation's own.");
  }
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

/// A power of two near the largest |g|, in units of which squares stay in range.
double unit_of(const std::vector<Tensor>& g) {
  double largest = 0;
  for (const auto& one : g) {
    if (one.numel() > 0) largest = std::max(largest, one.abs().max().item<double>());
  }
  return largest > 0 && std::isfinite(largest) ? std::ldexp(1., std::ilogb(largest)) : 1;
}

std::vector<Tensor> divided(const std::vector<Tensor>& g, double unit) {
  std::vector<Tensor> quotients;
  for (const auto& one : g) quotients.push_back(one / unit);
  return quotients;
}

/// What is known of the examples whose rows some outputs hold, for g in some unit; in double.
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

/// Whether the loss's slope at one output depends on another one.
bool couples_outputs(const LossGraph& graph, const std::vector<Tensor>& g) {
  if (!detail::has_loss_hessian(graph)) return true;  // as far as can be known
  auto first = g;
  for (size_t k = 1; k < first.size(); ++k) first[k] = torch::zeros_like(first[k]);
  const auto Hg = hessian_along(graph, first);
  return std::any_of(Hg.begin() + 1, Hg.end(), [](const Tensor& part) {
    return part.defined() && part.ne(0).any().item<bool>();
  });
}

/// How many examples the rows hold: those of a micro-batch each, but one for an anchor with its
/// positive and negative.
double examples_in_rows(const LossGraph& graph, const std::vector<Tensor>& g, int64_t rows) {
  const auto count = static_cast<double>(rows);
  const bool may_be_more = g.size() > 1 && graph.distinct_examples() > count;
  return may_be_more && !couples_outputs(graph, g) ? graph.distinct_examples() : count;
}

/// √κᵢ/‖gᵢ‖, [N]; zero where there is no gradient.
Tensor scales_of(const Examples& examples, double weight, double unit) {
  const auto& squares = examples.squares;
  const auto along = (examples.curvatures / squares.square()).nan_to_num_(0, 0, 0);
  const auto scales = along.clamp_min_(weight * unit * unit).sqrt_().div_(unit);
  return torch::where(squares > 0, scales, 0);
}

Tensor by_example(const Tensor& numbers, const Tensor& g) {
  std::vector<int64_t> shape(static_cast<size_t>(g.dim()), 1);
  if (g.dim() > 0) shape[0] = g.size(0);
  return numbers.view(shape);
}

detail::RowSeed seed_of(const LossGraph& graph, const std::vector<Tensor>& g, const Tensor& scales,
                        double examples) {
  const auto dtype = graph.parameters().options().dtype();
  std::vector<Tensor> scaled;
  for (const auto& one : g) scaled.push_back((one * by_example(scales, one)).to(one.dtype()));
  const auto targets = torch::where(scales > 0, -1 / scales, 0).to(dtype);
  return {{{detail::output_edges(graph), std::move(scaled)}},
          torch::ones_like(targets),
          targets,
          examples};
}

CurvatureAt by_products(const LossGraph& graph, const std::vector<Tensor>& g,
                        const std::map<int64_t, Examples>& groups, double weight, double unit) {
  std::vector<detail::ExampleVectors> sets;
  for (const auto& [count, examples] : groups) {
    const auto scales = scales_of(examples, weight, unit).to(graph.parameters().options().dtype());
    detail::ExampleVectors set{std::vector<Tensor>(g.size()), scales, torch::ones_like(scales)};
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
  check_examples_come_first(graph);
  const auto g = gradients_at_outputs(graph);
  const double unit = unit_of(g);
  const auto in_units = divided(g, unit);
  const auto groups = examples_of(in_units, hessian_along(graph, in_units));
  const double examples = examples_in_rows(graph, in_units, groups.rbegin()->first);
  const double weight = weight_of_square(graph, examples);
  if (groups.size() > 1) return by_products(graph, g, groups, weight, unit);
  const auto scales = scales_of(groups.begin()->second, weight, unit);
  const auto seed = seed_of(graph, g, scales, examples);
  // Shares of ∇h, which are scaled as shares: where the examples are coupled, those below scaled g
  // would not add up to it.
  auto captured = detail::capture_shares_below({detail::output_edges(graph), g}, graph);
  detail::scale_examples(captured, scales);
  if (detail::are_too_many(captured, graph.parameters())) {
    return by_products(graph, g, groups, weight, unit);
  }
  return detail::at_rows(
      std::make_shared<const detail::TargetedRows>(seed, std::move(captured), graph),
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
