#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/layer_gradients.h"
#include "graph/layers.h"
#include "graph/loss_graph_state.h"
#include "graph/output_gram.h"

#include <algorithm>
#include <vector>

namespace natgrad::detail {
namespace {

// Multiply-adds that take as long as a call, of 10 µs on a core that does 10 to 20 of them a
// nanosecond: per node of the graph in a J v with its Jᵀu, and beside the nodes.
constexpr double kCall = 1e5, kCallsOfProduct = 5, kCallsOfGram = 15, kCallsOfLayer = 2;
// A backward pass that is one of many by vmap, and brings no parameter's gradient.
constexpr double kShareOfProduct = 0.25;
// An entry of a [r, r] matrix that is read and written once more, for each layer.
constexpr double kEntry = 10;

double nodes_of(const LossGraph& graph) {
  return static_cast<double>(network_census(graph).nodes.size());
}

/// The multiplications of every example with every parameter.
double arithmetic_of_pass(const LossGraph& graph) {
  return static_cast<double>(graph.examples()) * static_cast<double>(graph.parameters().size());
}

bool is_convolution(const Layer& layer) { return layer.kind == Layer::Kind::Convolution; }

/// How often a layer's weights are applied to an example: rows, and positions of each.
double applications(const Layer& layer, double examples) {
  if (layer.kind == Layer::Kind::Embedding) return 1;  // zeros that are filled
  const auto shape = shape_at(layer.output);
  const auto positions =
      is_convolution(layer) ? c10::multiply_integers(shape.begin() + 2, shape.end()) : 1;
  return static_cast<double>(layer.rows * positions) / examples;
}

}  // namespace

double product_operations(const LossGraph& graph) {
  return kCall * (nodes_of(graph) + kCallsOfProduct) + arithmetic_of_pass(graph);
}

double gram_operations(const LossGraph& graph, int64_t directions) {
  const auto found = without_fused(layers_of(graph));
  const auto& parameters = graph.parameters().tensors();
  const auto D = static_cast<double>(directions), examples = static_cast<double>(graph.examples());
  const double rows = D * examples, product = product_operations(graph);
  double sum =
      kCall * (nodes_of(graph) + kCallsOfGram) + D * kShareOfProduct * arithmetic_of_pass(graph);
  // Backward passes through convolutions are not faster many at a time.
  if (std::any_of(found.layers.begin(), found.layers.end(), is_convolution)) {
    sum += D * product;
  }
  std::vector<int> uses(parameters.size());
  for (const auto& layer : found.layers) {
    sum += kCallsOfLayer * kCall;
    if (layer.weight) ++uses[*layer.weight];
  }
  for (const auto& layer : found.layers) {
    if (!layer.weight || !found.covers[*layer.weight]) continue;
    const auto numbers = static_cast<double>(parameters[*layer.weight].numel());
    const bool is_plain = layer.kind == Layer::Kind::Linear && uses[*layer.weight] == 1 &&
                          layer.rows == graph.examples();
    const auto width =
        static_cast<double>(c10::multiply_integers(shape_at(layer.output))) / examples;
    sum += rows * rows * (kEntry + (is_plain ? width : numbers / uses[*layer.weight]));
    if (!is_plain) sum += kCall * D + rows * numbers * applications(layer, examples);
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (found.covers[i]) continue;
    const auto numbers = static_cast<double>(parameters[i].numel());
    sum += rows * (kShareOfProduct * product + rows * numbers);
  }
  return sum;
}

}  // namespace natgrad::detail
