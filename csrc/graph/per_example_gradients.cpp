#include <natgrad/graph/per_example_gradients.h>
#include <torch/torch.h>
#include "graph/loss_graph_state.h"

#include <optional>

#include "graph/capture.h"
#include "graph/coupled_examples.h"
#include "graph/example_rows.h"
#include "graph/pull_back_examples.h"

namespace natgrad {
namespace {

using torch::Tensor;

/// A loss that its layers may tell all about.
struct ReadExamples {
  std::optional<OutputGradients> outputs;  // none of a loss that cannot be read
  Capture captured;
};

ReadExamples read_examples(const LossGraph& graph) {
  const bool is_read = graph.is_readable();
  check_examples_are_independent(is_read ? network_census(graph) : loss_census(graph));
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

void add_captured(const Capture& captured, const ParameterLayout& parameters,
                  const std::vector<Tensor>& columns) {
  for (size_t k = 0; k < captured.layers.size(); ++k) {
    const auto& layer = captured.layers[k];
    const auto order = captured.orders[k];
    const auto delta = captured.deltas[k].to(parameters.options().dtype());
    const auto shape_of = [&](size_t i) { return parameters.tensors()[i].sizes(); };
    if (layer.weight && captured.covers[*layer.weight]) {
      add_weight_rows(columns[*layer.weight], layer, delta, order, shape_of(*layer.weight));
    }
    if (layer.bias && captured.covers[*layer.bias]) {
      add_bias_rows(columns[*layer.bias], layer, delta, order, shape_of(*layer.bias));
    }
  }
}

void add_uncaptured(const OutputGradients& u, Columns passes, const Capture& captured,
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
  const auto rows = pull_back_examples(u, passes, captured.examples, rest);
  const auto pieces = rows.split_with_sizes(lengths, 1);
  for (size_t i = 0; i < pieces.size(); ++i) places[i].copy_(pieces[i]);
}

Tensor gamma_of(const LossGraph& graph, const ReadExamples& read) {
  const auto& parameters = graph.parameters();
  const auto gamma =
      torch::zeros({read.captured.examples, parameters.size()}, parameters.options());
  const auto columns = columns_by_parameter(gamma, parameters);
  add_captured(read.captured, parameters, columns);
  if (read.outputs) {
    add_uncaptured(*read.outputs, network_census(graph).columns(), read.captured, parameters,
                   columns);
  }
  return gamma;
}

}  // namespace

Tensor detail::pull_back_each_example(const LossGraph& graph, const std::vector<Tensor>& u) {
  const torch::NoGradGuard no_grad;
  check_examples_are_independent(network_census(graph));
  auto seed = output_gradients(graph, u);
  auto captured = capture_below(seed, graph);
  return gamma_of(graph, ReadExamples{std::move(seed), std::move(captured)});
}

Tensor per_example_gradients(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  return gamma_of(graph, read_examples(graph));
}

std::vector<bool> captured_parameters(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  return read_examples(graph).captured.covers;
}

}  // namespace natgrad
