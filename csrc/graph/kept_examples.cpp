#include "graph/kept_examples.h"

#include <algorithm>
#include <optional>

#include "libtorch/edges.h"
#include "libtorch/nodes.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {
namespace {

using torch::autograd::Node;

/// How an op treats dimension 0 of an input that depends on the examples.
enum class Rows {
  Unknown,
  Elementwise,  ///< kept where input and result are of one shape
  Leading       ///< kept where dimension 0 is as long in the result
};

/// By name. Of the ops that penalties are made of (`elementwise_ops`) some change the shape.
Rows rows_of(const Node& node) {
  static const OpNames elementwise = {
      "Add",  "Sub",      "Mul",        "Div",          "Neg",       "Pow",         "Abs",
      "Sqrt", "Exp",      "Log",        "Log1P",        "Relu",      "Tanh",        "Sigmoid",
      "Gelu", "Silu",     "Elu",        "LeakyRelu",    "Hardtanh",  "Softplus",    "Mish",
      "Sin",  "Cos",      "Clamp",      "Threshold",    "Hardswish", "Hardsigmoid", "ClampMin",
      "Rsub", "ClampMax", "LogSigmoid", "NativeDropout"};
  // A concatenation along dimension 0 is longer than what was concatenated.
  static const OpNames leading = {
      "View", "UnsafeView", "ReshapeAlias",         "Squeeze",          "Unsqueeze", "Cat",
      "Bmm",  "AvgPool2D",  "MaxPool2DWithIndices", "AdaptiveAvgPool2D"};
  if (reduces_within_rows(node)) return Rows::Leading;
  const auto& op = op_name(node);
  if (elementwise.contains(op)) return Rows::Elementwise;
  return leading.contains(op) ? Rows::Leading : Rows::Unknown;
}

bool is_leaf(const Node& node) { return node.next_edges().empty(); }

/// Whether it is a parameter, or a view or cast of one: no examples there.
bool is_parameter(Node* node) {
  while (is_matrix_transpose(*node) || is_cast(*node) || is_reshape(*node)) {
    node = node->next_edge(0).function.get();
  }
  return is_leaf(*node);
}

bool has_leading(torch::IntArrayRef shape, int64_t examples) {
  return !shape.empty() && shape[0] == examples;
}

/// Which input of a layer's op may depend on the examples.
std::optional<size_t> data_input(Op op) {
  switch (op) {
    case Op::Mm:
    case Op::Convolution:
    case Op::BatchNorm:
    case Op::GroupNorm:
    case Op::LayerNorm:
      return 0;
    case Op::Addmm:
      return 1;
    default:
      return std::nullopt;
  }
}

/// Whether a LayerNorm takes its statistics over all dimensions.
bool mixes_rows(const Node& node, torch::IntArrayRef result) {
  return op_of(node) == Op::LayerNorm && normalised_dimensions(node) >= result.size();
}

/// Whether it takes or repeats rows of its inputs: which ones, its shape does not tell.
bool is_choice_of_rows(Op op) {
  return op == Op::Embedding || op == Op::EmbeddingBag || op == Op::Index ||
         op == Op::IndexSelect || op == Op::Expand;
}

bool has_only_parameters(const Node& node) {
  return std::all_of(node.next_edges().begin(), node.next_edges().end(), [](const auto& edge) {
    return !edge.is_valid() || is_parameter(edge.function.get());
  });
}

bool keeps_rows(Node& node, int64_t examples) {
  const auto result = shape_at(result_of(node));
  if (!has_leading(result, examples) || mixes_rows(node, result)) return false;
  if (is_choice_of_rows(op_of(node))) return has_only_parameters(node);
  const auto data = data_input(op_of(node));
  const auto rows = data ? Rows::Leading : rows_of(node);
  if (rows == Rows::Unknown || is_batch_normalisation_in_training(node)) return false;
  for (size_t i = 0; i < node.num_outputs(); ++i) {
    const auto& edge = node.next_edge(i);
    if (!edge.is_valid() || is_parameter(edge.function.get())) continue;
    const auto shape = shape_at(edge);
    const bool may_be_data = !data || i == *data;
    const bool fits = rows == Rows::Elementwise ? shape == result : has_leading(shape, examples);
    if (!may_be_data || !fits) return false;
  }
  return true;
}

}  // namespace

bool keep_examples(const Census& network, int64_t examples) {
  return std::all_of(network.nodes.begin(), network.nodes.end(),
                     [&](Node* node) { return is_parameter(node) || keeps_rows(*node, examples); });
}

}  // namespace natgrad::detail
