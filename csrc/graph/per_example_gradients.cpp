#include <natgrad/graph/layer_factors.h>
#include <natgrad/graph/per_example_gradients.h>
#include <torch/torch.h>

#include <optional>

#include <natgrad/graph/coupled_examples.h>
#include "capture.h"
#include "pull_back_examples.h"

namespace natgrad {
namespace {

using torch::Tensor;
using torch::autograd::edge_list;

/// A loss that its layers may tell all about.
struct ReadExamples {
  std::optional<OutputGradients> outputs;  // none of a loss that cannot be read
  Capture captured;
};

ReadExamples read_examples(const LossGraph& graph) {
  const bool is_read = graph.is_readable();
  check_examples_are_independent(is_read ? graph.outputs() : edge_list{graph.root()});
  if (!is_read) return {std::nullopt, capture_below_unread_loss(graph)};
  auto u = output_gradients(graph);
  auto captured = capture_below(u, graph);
  return {std::move(u), std::move(captured)};
}

/// The columns of γ that belong to each parameter, [N, numel].
std::vector<Tensor> columns_by_parameter(const Tensor& gamma, const ParameterLayout& parameters) {
  std::vector<int64_t> lengths;
  for (const auto& parameter : parameters.tensors()) lengths.push_back(parameter.numel());
  return gamma.split_with_sizes(lengths, 1);
}

/// [M, groups, positions, R] as [N, groups, rows of the example · positions, R].
Tensor gather_rows(const Tensor& factor, int64_t examples, ExampleOrder order) {
  return by_example(factor, examples, order).transpose(1, 2).flatten(2, 3);
}

/// columns += Σ_k left_k ⊗ right_k in each example and group.
void add_products(const Tensor& columns, const Tensor& left, const Tensor& right) {
  const auto sum = columns.unflatten(1, {left.size(1), left.size(3), right.size(3)});
  const auto transposed = left.transpose(2, 3);
  // One row an example: an elementwise product takes a tenth of the time.
  if (left.size(2) == 1) {
    sum.addcmul_(transposed, right);
  } else {
    sum.add_(transposed.matmul(right));
  }
}

void add_captured(const Capture& captured, const ParameterLayout& parameters,
                  const std::vector<Tensor>& columns) {
  const auto examples = captured.examples;
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    auto layer = captured.layers[k];
    const auto order = captured.orders[k];
    const auto delta = captured.deltas[k].to(parameters.options().dtype());
    if (layer.weight && captured.covers[*layer.weight]) {
      layer.input = layer.input.to(delta.dtype());
      const auto [left, right] =
          weight_factors(layer, delta, parameters.tensors()[*layer.weight].sizes());
      add_products(columns[*layer.weight], gather_rows(left, examples, order),
                   gather_rows(right, examples, order));
    }
    if (layer.bias && captured.covers[*layer.bias]) {
      const auto rows = bias_rows(layer, delta, parameters.tensors()[*layer.bias].sizes());
      columns[*layer.bias].add_(by_example(rows, examples, order).sum(1));
    }
  }
}

void add_uncaptured(const OutputGradients& u, const Capture& captured,
                    const ParameterLayout& parameters, const std::vector<Tensor>& columns) {
  std::vector<Tensor> rest, places;
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (captured.covers[i]) continue;
    rest.push_back(parameters.tensors()[i]);
    places.push_back(columns[i]);
    lengths.push_back(rest.back().numel());
  }
  if (rest.empty()) return;
  const auto rows = pull_back_examples(u, captured.examples, rest);
  const auto pieces = rows.split_with_sizes(lengths, 1);
  for (size_t i = 0; i < pieces.size(); ++i) places[i].copy_(pieces[i]);
}

}  // namespace

Tensor per_example_gradients(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  const auto read = read_examples(graph);
  const auto& parameters = graph.parameters();
  const auto gamma =
      torch::zeros({read.captured.examples, parameters.size()}, parameters.options());
  const auto columns = columns_by_parameter(gamma, parameters);
  add_captured(read.captured, parameters, columns);
  if (read.outputs) add_uncaptured(*read.outputs, read.captured, parameters, columns);
  return gamma;
}

std::vector<bool> captured_parameters(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  return read_examples(graph).captured.covers;
}

}  // namespace natgrad
