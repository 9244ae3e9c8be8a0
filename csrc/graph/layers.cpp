#include "graph/layers.h"
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/linearization.h"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "graph/lstm_gates.h"
#include "graph/parameter_uses.h"
#include "graph/table_layers.h"
#include "libtorch/degradations.h"
#include "libtorch/edges.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::Node;

torch::IntArrayRef shape_of_result(Node& node) { return shape_at(result_of(node)); }

Layer layer_of(Layer::Kind kind, Node& node) {
  Layer layer;
  layer.kind = kind;
  layer.output = result_of(node);
  layer.rows = layer.batch = shape_of_result(node)[0];
  return layer;
}

/// A product s = a·mat2, where the parameter is mat2.
Layer linear_with_weight(Node& node, size_t parameter, const Tensor& a, bool is_transposed) {
  auto layer = layer_of(Layer::Kind::Linear, node);
  layer.weight = parameter;
  layer.input = a;
  layer.is_input_by_output = !is_transposed;
  return layer;
}

std::optional<Layer> read_addmm(Node& node, size_t parameter, const Use& use, const Tensor& value) {
  const auto [alpha, beta] = scales_of_addmm(node);
  if (use.at.input == 2 && alpha == 1) {
    return linear_with_weight(node, parameter, saved_left(node), use.is_transposed);
  }
  const bool is_row = value.dim() == 1 && value.numel() == shape_of_result(node)[1];
  if (use.at.input != 0 || beta != 1 || !is_row) return std::nullopt;
  auto layer = layer_of(Layer::Kind::Linear, node);
  layer.bias = parameter;
  return layer;
}

std::optional<Layer> read_mm(Node& node, size_t parameter, const Use& use) {
  if (use.at.input != 1) return std::nullopt;
  return linear_with_weight(node, parameter, saved_left(node), use.is_transposed);
}

std::optional<Layer> read_convolution(Node& node, size_t parameter, const Use& use) {
  if (use.at.input == 0 || use.is_transposed) return std::nullopt;
  auto layer = layer_of(Layer::Kind::Convolution, node);
  layer.geometry = geometry_of(node);
  if (use.at.input == 1) {
    layer.weight = parameter;
    layer.input = saved_image(node);
  } else {
    layer.bias = parameter;
  }
  return layer;
}

/// Whether an addition or expansion repeats the parameter along dimension 0 of its result.
bool broadcasts_along_rows(const Tensor& value, torch::IntArrayRef result) {
  const auto dims = static_cast<int64_t>(result.size());
  return value.dim() < dims || (dims > 0 && value.dim() == dims && value.size(0) == 1);
}

/// Whether the result [N, T, ...] adds row t of the parameter, [T, ...], to its own.
bool is_row_by_row(const Tensor& value, torch::IntArrayRef result) {
  const auto dims = static_cast<size_t>(value.dim());
  return dims > 1 && result.size() > dims && value.sizes() == result.slice(result.size() - dims);
}

/// The rows of [N, ..., D] along whose last dimensions a parameter lies.
int64_t leading_rows(torch::IntArrayRef shape, const Tensor& value) {
  const size_t leading = std::max<size_t>(1, shape.size() - static_cast<size_t>(value.dim()));
  return c10::multiply_integers(shape.slice(0, leading));
}

std::optional<Layer> read_addition(Node& node, size_t parameter, const Use& use,
                                   const Tensor& value) {
  const bool is_plain = use.at.input == 0 || alpha_of(node) == 1;
  const auto shape = shape_of_result(node);
  if (!is_plain || use.is_transposed) return std::nullopt;
  const bool is_bias = broadcasts_along_rows(value, shape);
  if (!is_bias || shape[0] == 1 || is_row_by_row(value, shape)) {
    auto repetition = read_repetition(use, parameter, value);
    if (repetition || !is_bias) return repetition;
  }
  auto layer = layer_of(Layer::Kind::Bias, node);
  layer.bias = parameter;
  layer.rows = leading_rows(shape, value);
  return layer;
}

/// s = a ∘ g + b, with a normalised by no other example.
std::optional<Layer> read_normalisation(Node& node, size_t parameter, const Use& use,
                                        const Tensor& value) {
  const bool is_gain = use.at.input == 1, is_bias = use.at.input == 2;
  if (!is_gain && !is_bias) return std::nullopt;
  const auto dims = shape_of_result(node).size();
  if (op_of(node) == Op::LayerNorm && static_cast<size_t>(value.dim()) >= dims) {
    return std::nullopt;  // all examples at once
  }
  const auto a = normalised_input(node);
  if (!a.defined()) return std::nullopt;
  auto layer = layer_of(is_gain ? Layer::Kind::Scale : Layer::Kind::Bias, node);
  layer.bias = parameter;
  if (is_gain) layer.input = a;
  layer.is_by_channel = op_of(node) != Op::LayerNorm;
  if (!layer.is_by_channel) layer.rows = leading_rows(shape_of_result(node), value);
  return layer;
}

/// s = W x + V h + b of all steps.
std::optional<Layer> read_fused_lstm(Node& node, size_t parameter, const Use& use) {
  using In = FusedLstmInputs;
  const auto input = use.at.input;
  if (use.is_transposed || input < In::kW || input > In::kSecondBias) return std::nullopt;
  auto layer = layer_of(Layer::Kind::Linear, node);
  layer.lstm = std::make_shared<FusedLstm>(saved_fused_lstm(node));
  layer.rows = layer.lstm->h.size(0) * layer.lstm->h.size(1);
  (input == In::kW || input == In::kV ? layer.weight : layer.bias) = parameter;
  if (input == In::kW) layer.input = layer.lstm->x.flatten(0, 1);
  if (input == In::kV) layer.input = hidden_before(*layer.lstm);
  return layer;
}

std::optional<Layer> read_layer(const Use& use, size_t parameter, const Tensor& value,
                                const Consumers& consumers) {
  if (!use.at.node) return std::nullopt;
  Node& node = *use.at.node;
  if (is_fused_lstm(node)) return read_fused_lstm(node, parameter, use);
  switch (op_of(node)) {
    case Op::Addmm:
      return read_addmm(node, parameter, use, value);
    case Op::Mm:
      return read_mm(node, parameter, use);
    case Op::Convolution:
      return read_convolution(node, parameter, use);
    case Op::Add:
    case Op::Expand:
      return read_addition(node, parameter, use, value);
    case Op::Embedding:
    case Op::EmbeddingBag:
    case Op::Index:
    case Op::IndexSelect:
    case Op::Slice:
      return read_lookup(use, parameter, value, consumers);
    case Op::BatchNorm:
    case Op::GroupNorm:
    case Op::LayerNorm:
      return read_normalisation(node, parameter, use, value);
    default:
      return std::nullopt;
  }
}

/// All layers that the parameter takes part in; nothing if it meets any other op, and then that
/// op's name in `unread`.
std::optional<std::vector<Layer>> layers_with(size_t parameter, const Tensor& value,
                                              const Edge& edge, const Consumers& consumers,
                                              std::set<std::string>& unread) {
  std::vector<Layer> layers;
  for (const auto& use : uses_of(edge, consumers)) {
    auto layer = read_layer(use, parameter, value, consumers);
    if (!layer) {
      unread.insert(use.at.node ? use.at.node->name() : "the outputs");
      return std::nullopt;
    }
    layers.push_back(std::move(*layer));
  }
  return layers;
}

/// Past the view by which LibTorch restores [N, T, out] from the [N·T, out] that it computes.
int64_t batch_of(const Layer& layer, const Consumers& consumers) {
  const auto& users = consumers.at(layer.output.function.get());
  if (layer.kind != Layer::Kind::Linear || layer.lstm || users.size() != 1) return layer.batch;
  Node* node = users.front().node;
  if (!node || !is_reshape(*node)) return layer.batch;
  const auto shape = shape_of_result(*node);
  const bool keeps_rows = !shape.empty() && shape.back() == shape_at(layer.output)[1];
  return keeps_rows ? shape[0] : layer.batch;
}

// ---- Parameters of one layer. ----

/// Whether `part` was a parameter of the same op, and is one with `whole` now.
bool join(Layer& whole, const Layer& part) {
  const bool both = (whole.weight && part.weight) || (whole.bias && part.bias);
  if (whole.output != part.output || whole.kind != part.kind || both) return false;
  if (part.weight) {
    whole.weight = part.weight;
    whole.input = part.input;
    whole.is_input_by_output = part.is_input_by_output;
  } else {
    whole.bias = part.bias;
  }
  return true;
}

void add_layer(std::vector<Layer>& layers, std::unordered_map<const Node*, size_t>& places,
               Layer added) {
  const auto [place, is_new] = places.try_emplace(added.output.function.get(), layers.size());
  if (is_new || !join(layers[place->second], added)) layers.push_back(std::move(added));
}

/// The node below an addition that nothing else consumes, past views; else null.
const Node* sole_summand(const Layer& addition, size_t input, const Consumers& consumers) {
  const Node* node = addition.output.function->next_edge(input).function.get();
  while (node && consumers.at(node).size() == 1 && is_reshape(*node)) {
    node = node->next_edge(0).function.get();
  }
  return node && consumers.at(node).size() == 1 ? node : nullptr;
}

/// Gives biases that were added by hand to the linear layers below.
void attach_biases(std::vector<Layer>& layers,
                   const std::unordered_map<const Node*, size_t>& places,
                   const Consumers& consumers, const ParameterLayout& parameters) {
  const auto is_attached = [&](const Layer& addition) {
    const auto& node = *addition.output.function;
    if (addition.kind != Layer::Kind::Bias || op_of(node) != Op::Add) return false;
    if (alpha_of(node) != 1) return false;
    for (const size_t input : {0, 1}) {
      const auto found = places.find(sole_summand(addition, input, consumers));
      if (found == places.end()) continue;
      auto& layer = layers[found->second];
      const auto& bias = parameters.tensors()[*addition.bias];
      const auto entries = c10::multiply_integers(shape_at(layer.output));
      const bool fits = layer.kind == Layer::Kind::Linear && !layer.lstm && !layer.bias &&
                        bias.dim() == 1 && bias.size(0) == shape_at(layer.output)[1] &&
                        c10::multiply_integers(shape_at(addition.output)) == entries;
      if (fits) {
        layer.bias = addition.bias;
        return true;
      }
    }
    return false;
  };
  std::vector<bool> attached;
  for (const auto& layer : layers) attached.push_back(is_attached(layer));
  std::vector<Layer> kept;
  for (size_t k = 0; k < layers.size(); ++k) {
    if (!attached[k]) kept.push_back(std::move(layers[k]));
  }
  layers = std::move(kept);
}

double coverage_of(const Layers& found, const ParameterLayout& parameters) {
  if (parameters.size() == 0) return 1;
  int64_t covered = 0;
  for (size_t i = 0; i < found.covers.size(); ++i) {
    if (found.covers[i]) covered += parameters.tensors()[i].numel();
  }
  return static_cast<double>(covered) / static_cast<double>(parameters.size());
}

}  // namespace

Layers find_layers(const Census& census, const ParameterLayout& parameters) {
  const torch::NoGradGuard no_grad;
  const auto consumers = consumers_of(census);
  const auto edges = edges_of(parameters.tensors());
  Layers found;
  std::unordered_map<const Node*, size_t> places;
  std::set<std::string> unread;
  with_graph_errors([&] {
    for (size_t i = 0; i < edges.size(); ++i) {
      auto layers = layers_with(i, parameters.tensors()[i], edges[i], consumers, unread);
      found.covers.push_back(layers.has_value());
      if (!layers) continue;
      for (auto& layer : *layers) add_layer(found.layers, places, std::move(layer));
    }
  });
  for (auto& layer : found.layers) layer.batch = batch_of(layer, consumers);
  attach_biases(found.layers, places, consumers, parameters);
  found.coverage = coverage_of(found, parameters);
  found.unread.assign(unread.begin(), unread.end());
  report_layer_coverage(found.coverage);
  return found;
}

}  // namespace natgrad::detail
