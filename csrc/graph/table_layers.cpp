#include "graph/table_layers.h"

#include <torch/torch.h>

#include <utility>

#include "libtorch/edges.h"
#include "libtorch/op_names.h"

namespace natgrad::detail {
namespace {

using torch::IntArrayRef;
using torch::Tensor;
using torch::autograd::Node;

Layer table_layer(Node& output, size_t parameter, Lookup lookup, int64_t rows) {
  Layer layer;
  layer.kind = Layer::Kind::Embedding;
  layer.output = result_of(output);
  layer.weight = parameter;
  layer.lookup = std::move(lookup);
  layer.rows = rows;
  layer.batch = shape_at(layer.output)[0];
  return layer;
}

/// How many of the last dimensions hold `width` numbers, the same ones in both; none if they do
/// not.
std::optional<size_t> dimensions_of_row(IntArrayRef operand, IntArrayRef result, int64_t width) {
  size_t dims = 0;
  int64_t numbers = 1;
  while (numbers < width && dims < operand.size()) {
    ++dims;
    const auto length = operand[operand.size() - dims];
    if (result[result.size() - dims] != length) return std::nullopt;
    numbers *= length;
  }
  if (numbers != width || dims >= result.size()) return std::nullopt;
  return dims;
}

/// Entries of the rows of an operand that is broadcast, as entries of the result's rows.
Tensor repeated(const Tensor& entries, IntArrayRef operand, IntArrayRef result, size_t row_dims) {
  if (!entries.defined()) return entries;
  const auto leading = [row_dims](IntArrayRef shape) {
    return shape.slice(0, shape.size() - row_dims);
  };
  return entries.reshape(leading(operand)).expand(leading(result)).reshape(-1);
}

/// The lookup's layer where its result, of `width` numbers a row, is broadcast to that of `sum`.
std::optional<Layer> layer_at_sum(Node& sum, size_t input, size_t parameter, const Lookup& lookup,
                                  int64_t width) {
  const auto operand = shape_at(sum.next_edge(input)), result = shape_at(result_of(sum));
  const auto row_dims = dimensions_of_row(operand, result, width);
  const bool has_one_each = lookup.index.numel() * width == c10::multiply_integers(operand);
  if (!row_dims || lookup.row.defined() || !has_one_each) return std::nullopt;
  auto index = repeated(lookup.index, operand, result, *row_dims);
  auto weight = repeated(lookup.weight, operand, result, *row_dims);
  const auto rows = index.numel();
  return table_layer(sum, parameter, {std::move(index), {}, std::move(weight)}, rows);
}

bool is_sum(const Consumer& consumer) {
  const auto& node = *consumer.node;
  if (op_of(node) == Op::Expand) return true;
  return op_of(node) == Op::Add && (consumer.input == 0 || alpha_of(node) == 1);
}

/// Whether the node's result has its input's elements in their order.
bool is_view_in_order(const Node& node) { return is_reshape(node) || op_name(node) == "Unsqueeze"; }

/// The sum that alone takes the node's result, past views.
std::optional<Consumer> sole_sum(const Node& node, const Consumers& consumers) {
  const auto& users = consumers.at(&node);
  if (users.size() != 1 || !users.front().node) return std::nullopt;
  const auto& user = users.front();
  if (is_view_in_order(*user.node)) return sole_sum(*user.node, consumers);
  return is_sum(user) ? std::optional(user) : std::nullopt;
}

int64_t numbers_in(IntArrayRef shape) { return c10::multiply_integers(shape); }

}  // namespace

std::optional<Layer> read_lookup(const Use& use, size_t parameter, const Tensor& W,
                                 const Consumers& consumers) {
  if (use.at.input != 0 || use.is_transposed || W.dim() == 0 || W.numel() == 0) return std::nullopt;
  Node& node = *use.at.node;
  const auto shape = shape_at(result_of(node));
  if (shape.empty() || numbers_in(shape) == 0) return std::nullopt;
  auto lookup = lookup_of(node);
  if (!lookup) return std::nullopt;
  const auto width = W.numel() / W.size(0);
  if (const auto sum = sole_sum(node, consumers)) {
    auto layer = layer_at_sum(*sum->node, sum->input, parameter, *lookup, width);
    if (layer) return layer;
  }
  if (op_of(node) == Op::Slice) return std::nullopt;
  return table_layer(node, parameter, std::move(*lookup), numbers_in(shape) / width);
}

std::optional<Layer> read_repetition(const Use& use, size_t parameter, const Tensor& W) {
  if (use.is_transposed || W.dim() < 2 || !is_sum(use.at) || W.numel() == 0) return std::nullopt;
  const auto result = shape_at(result_of(*use.at.node));
  int64_t width = 1;
  for (int64_t d = W.dim() - 1; d > 0; --d) {
    if (W.size(d) != result[result.size() - static_cast<size_t>(W.dim() - d)]) break;
    width *= W.size(d);
  }
  const auto options = W.options().dtype(torch::kLong).requires_grad(false);
  const Lookup all{torch::arange(W.numel() / width, options), {}, {}};
  return layer_at_sum(*use.at.node, use.at.input, parameter, all, width);
}

}  // namespace natgrad::detail
