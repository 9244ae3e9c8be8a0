#include "graph/squared_example_gradients.h"
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/layer_factors.h"
#include "graph/loss_graph_state.h"

#include <algorithm>
#include <cmath>

#include "graph/capture.h"
#include "graph/coupled_examples.h"
#include "graph/example_rows.h"
#include "graph/pull_back_examples.h"
#include "graph/table_entries.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::edge_list;

// Gradients of a parameter that are formed at once, in numbers: 64 MiB in float32.
constexpr int64_t kGradientsAtOnce = int64_t{1} << 24;

/// The share of a layer in Σ wᵢ γᵢ of all examples has to be whole before it is squared: only a
/// parameter's single layer can be squared by itself.
bool has_one_layer(const Capture& captured, size_t parameter, bool as_weight) {
  return 1 ==
         std::count_if(captured.layers.begin(), captured.layers.end(), [&](const Layer& layer) {
           return (as_weight ? layer.weight : layer.bias) == parameter;
         });
}

/// left, right: [N, groups, K, R] and [N, groups, K, C]; answers [groups, R, C].
Tensor sum_of_squared_products(const Tensor& left, const Tensor& right, const Tensor& weights) {
  const auto w = weights.view({-1, 1, 1, 1});
  if (left.size(2) == 1) {
    const auto rows = [](const Tensor& t) { return t.squeeze(2).square().transpose(0, 1); };
    return rows(left).transpose(1, 2).matmul(rows(right) * weights.view({1, -1, 1}));
  }
  const auto size = left.size(1) * left.size(3) * right.size(3);
  const auto chunk = std::max<int64_t>(1, kGradientsAtOnce / std::max<int64_t>(size, 1));
  auto sum = torch::zeros({left.size(1), left.size(3), right.size(3)}, left.options());
  for (int64_t begin = 0; begin < left.size(0); begin += chunk) {
    const auto count = std::min(chunk, left.size(0) - begin);
    const auto part = [&](const Tensor& t) { return t.narrow(0, begin, count); };
    sum += part(left).transpose(2, 3).matmul(part(right)).square_().mul_(part(w)).sum(0);
  }
  return sum;
}

void add_table(const Layer& layer, const Tensor& delta, ExampleOrder order, const Tensor& weights,
               const Tensor& place) {
  const auto examples = weights.size(0);
  const auto entries = merged(table_entries(layer, delta, examples, order), examples);
  const auto of_entries = weights.index_select(0, entries.example).unsqueeze(1);
  place.view({-1, entries.vectors.size(1)})
      .index_add_(0, entries.index, entries.vectors.square() * of_entries);
}

void add_weight(const Layer& layer, const Tensor& delta, ExampleOrder order, const Tensor& weights,
                const Tensor& place) {
  if (layer.kind == Layer::Kind::Embedding) return add_table(layer, delta, order, weights, place);
  const auto examples = weights.size(0);
  const auto [left, right] = weight_factors(layer, delta, place.sizes());
  place.add_(sum_of_squared_products(gather_rows(left, examples, order),
                                     gather_rows(right, examples, order), weights)
                 .view(place.sizes()));
}

void add_bias(const Layer& layer, const Tensor& delta, ExampleOrder order, const Tensor& weights,
              const Tensor& place) {
  const auto rows = bias_rows(layer, delta, place.sizes());
  const auto gradients = by_example(rows, weights.size(0), order).sum(1);
  place.add_(weights.matmul(gradients.square()).view(place.sizes()));
}

/// Adds the parameters of one layer each to their places; answers which parameters those are.
std::vector<bool> add_captured(const Capture& captured, const Tensor& weights,
                               const std::vector<Tensor>& places) {
  std::vector<bool> done(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    const bool is_single = has_one_layer(captured, i, true) != has_one_layer(captured, i, false);
    done[i] = captured.covers[i] && (!takes_part(captured, i) || is_single);
  }
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    auto layer = captured.layers[k];
    const auto delta = captured.deltas[k].to(weights.dtype());
    if (layer.input.defined()) layer.input = layer.input.to(weights.dtype());
    const auto order = captured.orders[k];
    if (layer.weight && done[*layer.weight]) {
      add_weight(layer, delta, order, weights, places[*layer.weight]);
    }
    if (layer.bias && done[*layer.bias]) {
      add_bias(layer, delta, order, weights, places[*layer.bias]);
    }
  }
  return done;
}

void add_rest(const OutputGradients& u, Columns passes, const std::vector<bool>& done,
              const ParameterLayout& parameters, const Tensor& weights,
              const std::vector<Tensor>& places) {
  std::vector<Tensor> rest, rest_places;
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < done.size(); ++i) {
    if (done[i]) continue;
    rest.push_back(parameters.tensors()[i]);
    rest_places.push_back(places[i]);
    lengths.push_back(rest.back().numel());
  }
  if (rest.empty()) return;
  const auto squares = pull_back_examples(u, passes, weights.size(0), rest).square_();
  const auto pieces = weights.matmul(squares).split_with_sizes(lengths);
  for (size_t i = 0; i < pieces.size(); ++i) {
    rest_places[i].copy_(pieces[i].view(rest_places[i].sizes()));
  }
}

/// The power of two below the largest number: in its unit squares stay within float32's range.
double unit_of(const std::vector<Tensor>& gradients) {
  double largest = 0;
  for (const auto& u : gradients) {
    if (u.defined() && u.numel() > 0) largest = std::max(largest, u.abs().max().item<double>());
  }
  return largest > 0 && std::isfinite(largest) ? std::exp2(std::ilogb(largest)) : 1;
}

}  // namespace

Tensor squared_example_gradients(const LossGraph& graph, const Tensor& given_weights) {
  const torch::NoGradGuard no_grad;
  const auto& parameters = graph.parameters();
  check_examples_are_independent(network_census(graph));
  auto u = output_gradients(graph);
  const double unit = unit_of(u.values);
  for (auto& gradient : u.values) {
    if (gradient.defined()) gradient = gradient / unit;
  }
  const auto weights = given_weights * unit * unit;
  const auto captured = capture_below(u, graph);
  TORCH_CHECK(weights.dim() == 1 && weights.size(0) == captured.examples,
              "natgrad: ", captured.examples, " examples need as many weights, but got shape ",
              weights.sizes(), ".");
  const auto sum = torch::zeros({parameters.size()}, parameters.options());
  const auto places = parameters.views(sum);
  const auto done = add_captured(captured, weights, places);
  add_rest(u, network_census(graph).columns(), done, parameters, weights, places);
  return sum;
}

}  // namespace natgrad::detail
