#include "graph/capture.h"
#include <natgrad/graph/loss_graph.h>
#include "graph/loss_graph_state.h"

#include <torch/torch.h>

#include <algorithm>
#include "graph/backward.h"
#include "graph/example_rows.h"
#include "graph/kept_examples.h"
#include "graph/layer_gradients.h"
#include "graph/walk.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::edge_list;

OutputGradients scaled(OutputGradients u, const Tensor& scales) {
  for (auto& value : u.values) value = scale_examples(value, scales);
  return u;
}

}  // namespace

void append(Capture& captured, Layer layer, Tensor delta, ExampleOrder order) {
  captured.layers.push_back(std::move(layer));
  captured.deltas.push_back(std::move(delta));
  captured.orders.push_back(order);
}

void drop(std::vector<bool>& covers, const Layer& layer) {
  if (layer.weight) covers[*layer.weight] = false;
  if (layer.bias) covers[*layer.bias] = false;
}

namespace {

/// Of layers whose ops alone tell that their rows are the examples, in order.
Capture capture_in_order(Layers found, std::vector<Tensor> deltas, int64_t examples) {
  Capture captured{examples, {}, {}, {}, std::move(found.covers)};
  for (size_t k = 0; k < deltas.size(); ++k) {
    if (!deltas[k].defined()) continue;
    append(captured, std::move(found.layers[k]), std::move(deltas[k]), ExampleOrder::Major);
  }
  return captured;
}

/// What is made of layers whose rows mix examples.
enum class MixedRows { Dropped, InOrder };

/// The layers whose order `probe` tells, gradients above them with the examples in dimension 0, of
/// which `probed` arrives at the layers.
Capture capture(Layers found, const std::vector<Tensor>& deltas, const OutputGradients& probe,
                const std::vector<Tensor>& probed, int64_t examples,
                const torch::TensorOptions& options, MixedRows mixed = MixedRows::Dropped) {
  Capture captured{examples, {}, {}, {}, std::move(found.covers)};
  const auto scales = random_scales(examples, options);
  const auto rescaled =
      order_gradients(found.layers, pull_back(scaled(probe, scales), gradient_edges(found.layers)));
  for (size_t k = 0; k < deltas.size(); ++k) {
    auto order = order_of(found.layers[k], probed[k], rescaled[k], scales);
    const auto& layer = found.layers[k];
    const bool is_by_row = layer.batch == examples || layer.rows == examples;
    if (!order && mixed == MixedRows::InOrder && is_by_row) order = ExampleOrder::Major;
    if (!order) {
      drop(captured.covers, found.layers[k]);
    } else if (deltas[k].defined()) {
      append(captured, std::move(found.layers[k]), deltas[k], *order);
    }
  }
  return captured;
}

[[noreturn]] void reject_unread(const std::string& reason) {
  TORCH_CHECK(
      false,
      "natgrad: the gradients of the single examples cannot be told from this loss: ", reason,
      ". Mark the network's outputs, with the examples in dimension 0, and use the mark in "
      "the loss: auto z = natgrad::outputs(model->forward(x)).");
}

int64_t common_batch(const std::vector<Layer>& layers) {
  if (layers.empty()) reject_unread("no linear or convolutional layer takes part in it");
  for (const auto& layer : layers) {
    if (layer.lstm) reject_unread("an LSTM takes part in it");
    if (layer.batch == layers.front().batch) continue;
    reject_unread(
        c10::str("its layers put out batches of ", layers.front().batch, " and of ", layer.batch));
  }
  return layers.front().batch;
}

/// δ of the layers that lie below no other.
OutputGradients topmost(const std::vector<Layer>& layers, const std::vector<Tensor>& deltas) {
  const auto edges = gradient_edges(layers);
  std::vector<bool> is_below(edges.size());
  for (size_t k = 0; k < edges.size(); ++k) {
    const auto below = reached_from(edges[k], edges);
    for (size_t j = 0; j < edges.size(); ++j) {
      if (below[j] && edges[j].function != edges[k].function) is_below[j] = true;
    }
  }
  OutputGradients top;
  for (size_t k = 0; k < edges.size(); ++k) {
    if (is_below[k] || !deltas[k].defined()) continue;
    top.edges.push_back(edges[k]);
    top.values.push_back(deltas[k]);
  }
  return top;
}

}  // namespace

namespace {

Capture capture_below(const OutputGradients& u, const Census& census, const LossGraph& graph,
                      int64_t examples, MixedRows mixed) {
  auto found = layers_of(graph);
  const auto arrived = pull_back(u, gradient_edges(found.layers));
  auto deltas = layer_gradients(found.layers, arrived);
  if (keep_examples(census, examples)) {
    return capture_in_order(std::move(found), std::move(deltas), examples);
  }
  const auto probed = order_gradients(found.layers, arrived);
  return capture(std::move(found), deltas, u, probed, examples, graph.parameters().options(),
                 mixed);
}

}  // namespace

Capture capture_below(const OutputGradients& u, const LossGraph& graph) {
  return capture_below(u, network_census(graph), graph, graph.examples(), MixedRows::Dropped);
}

Capture capture_below_outputs(const OutputGradients& u, const LossGraph& graph, int64_t examples) {
  return capture_below(u, Census(u.edges), graph, examples, MixedRows::Dropped);
}

Capture capture_shares_below(const OutputGradients& u, const LossGraph& graph) {
  return capture_below(u, network_census(graph), graph, graph.examples(), MixedRows::InOrder);
}

Capture capture_below_unread_loss(const LossGraph& graph) {
  const edge_list root = {root_edge(graph)};
  auto found = find_layers(loss_census(graph), graph.parameters());
  const auto examples = common_batch(found.layers);
  const auto one = torch::ones(shape_at(root[0]), options_at(root[0]));
  const auto edges = gradient_edges(found.layers);
  const auto deltas = backward(root, {one}, edges);
  const auto top = topmost(found.layers, deltas);
  const auto captured = capture(std::move(found), deltas, top, pull_back(top, edges), examples,
                                graph.parameters().options());
  for (size_t i = 0; i < captured.covers.size(); ++i) {
    if (captured.covers[i]) continue;
    reject_unread(c10::str("parameter ", i, " of shape ", graph.parameters().tensors()[i].sizes(),
                           " is used by more than linear and convolutional layers with the "
                           "examples in dimension 0"));
  }
  return captured;
}

void scale_examples(Capture& captured, const Tensor& scales) {
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    auto& delta = captured.deltas[k];
    const auto rows = captured.layers[k].rows, each = rows / captured.examples;
    const bool is_major = captured.orders[k] == ExampleOrder::Major;
    const auto by_row = is_major ? scales.repeat_interleave(each) : scales.repeat({each});
    delta = scale_examples(delta, by_row);
  }
}

bool takes_part(const Capture& captured, size_t parameter) {
  return std::any_of(captured.layers.begin(), captured.layers.end(), [&](const Layer& layer) {
    return layer.weight == parameter || layer.bias == parameter;
  });
}

Tensor rows_of_layers(const Capture& captured, const std::vector<Tensor>& deltas, size_t parameter,
                      const Tensor& value) {
  const auto rows =
      torch::zeros({captured.examples, value.numel()}, value.options().requires_grad(false));
  add_rows_of_layers(rows, captured, deltas, parameter, value);
  return rows;
}

void add_rows_of_layers(const Tensor& rows, const Capture& captured,
                        const std::vector<Tensor>& deltas, size_t parameter, const Tensor& value) {
  std::vector<LayerShare> steps;
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    const auto order = captured.orders[k];
    const auto delta = deltas[k].to(rows.dtype());
    if (layer.weight == parameter) steps.push_back({layer, delta, order});
    if (layer.bias == parameter) add_bias_rows(rows, layer, delta, order, value.sizes());
  }
  add_weight_rows(rows, steps, value.sizes());
}

std::vector<bool> plain_parameters(const Capture& captured) {
  std::vector<int> uses(captured.covers.size()), plain_uses(captured.covers.size());
  for (const auto& layer : captured.layers) {
    const bool is_plain = layer.kind == Layer::Kind::Linear && layer.rows == captured.examples;
    for (const auto& parameter : {layer.weight, layer.bias}) {
      if (!parameter) continue;
      ++uses[*parameter];
      plain_uses[*parameter] += is_plain;
    }
  }
  std::vector<bool> plain(uses.size());
  for (size_t i = 0; i < uses.size(); ++i) {
    plain[i] = captured.covers[i] && uses[i] == 1 && plain_uses[i] == 1;
  }
  return plain;
}

// Examples' rows of a table, in numbers, that are formed in less time than it takes to look
// anything up in them.
constexpr int64_t kSmallTable = int64_t{1} << 17;

std::vector<bool> large_tables(const Capture& captured, const ParameterLayout& parameters) {
  std::vector<bool> tables(captured.covers.size());
  for (size_t i = 0; i < tables.size(); ++i) {
    const auto numbers = captured.examples * parameters.tensors()[i].numel();
    tables[i] = numbers > kSmallTable && captured.covers[i] && takes_part(captured, i);
  }
  for (const auto& layer : captured.layers) {
    const bool is_table = layer.kind == Layer::Kind::Embedding;
    if (layer.weight && !is_table) tables[*layer.weight] = false;
    if (layer.bias) tables[*layer.bias] = false;
  }
  return tables;
}

}  // namespace natgrad::detail
