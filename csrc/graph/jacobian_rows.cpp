#include "graph/jacobian_rows.h"

#include <torch/torch.h>

#include <algorithm>
#include <optional>

#include "graph/capture.h"
#include "graph/loss_graph_state.h"
#include "graph/pull_back_examples.h"
#include "graph/pull_back_many.h"
#include "linalg/vmap.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Products J v at once; in a vmap each takes the memory of a pass.
constexpr int64_t kProductsAtOnce = 64;
// A J v takes about as long as two backward passes.
constexpr int64_t kPassesOfProduct = 2;

/// The parameters that no layer covers, and which numbers of θ they are.
struct Uncovered {
  std::vector<Tensor> parameters;
  Tensor numbers;  ///< [K]
  int64_t count() const { return numbers.numel(); }
};

Uncovered uncovered_of(const LossGraph& graph, const std::vector<bool>& covers) {
  Uncovered uncovered;
  std::vector<Tensor> numbers{torch::empty({0}, torch::kLong)};
  int64_t first = 0;
  for (size_t i = 0; i < covers.size(); ++i) {
    const auto& parameter = graph.parameters().tensors()[i];
    if (!covers[i]) {
      uncovered.parameters.push_back(parameter);
      numbers.push_back(torch::arange(first, first + parameter.numel()));
    }
    first += parameter.numel();
  }
  uncovered.numbers = torch::cat(numbers).to(graph.parameters().options().device());
  return uncovered;
}

/// J eⱼ of one output for each of these numbers of θ, [K, ...].
Tensor jacobian_columns(const LossGraph& graph, size_t output, const Tensor& numbers) {
  const auto& f = linearization_of(graph);
  const auto& parameters = graph.parameters();
  const auto multiply = [&](const std::vector<Tensor>& v) { return f.multiply(v.front())[output]; };
  std::vector<Tensor> columns;
  for (const auto& some : numbers.split(kProductsAtOnce)) {
    const auto units = torch::zeros({some.numel(), parameters.size()}, parameters.options());
    units.scatter_(1, some.unsqueeze(1), 1);
    const bool is_small = network_census(graph).columns() == Columns::Vmapped;
    if (const auto all = is_small ? vmap(multiply, {units}) : std::nullopt) {
      columns.push_back(*all);
      continue;
    }
    for (const auto& unit : units.unbind()) columns.push_back(multiply({unit}).unsqueeze(0));
  }
  return torch::cat(columns);
}

/// By K products J v.
void write_by_columns(const Tensor& rows, const OutputDirections& directions,
                      const LossGraph& graph, const Tensor& numbers) {
  const auto jacobian = jacobian_columns(graph, directions.output, numbers);
  const auto by_example = [&](const Tensor& t) {
    return t.reshape({t.size(0), directions.examples, -1});
  };
  const auto products = torch::einsum(
      "kiz,diz->dik", {by_example(jacobian), by_example(directions.u.to(jacobian.dtype()))});
  rows.index_copy_(1, numbers, products.reshape({rows.size(0), -1}).to(rows.dtype()));
}

/// By a backward pass a row.
void write_by_passes(const Tensor& rows, const OutputDirections& directions, const LossGraph& graph,
                     const Uncovered& uncovered) {
  const auto columns = network_census(graph).columns();
  const auto edge = output_edges(graph)[directions.output];
  std::vector<Tensor> parts;
  std::vector<int64_t> lengths;
  for (const auto& parameter : uncovered.parameters) lengths.push_back(parameter.numel());
  if (directions.examples == 1) {
    parts.push_back(pull_back_many({edge}, columns, {directions.u}, edges_of(uncovered.parameters),
                                   lengths, rows.options()));
  } else {
    for (const auto& u : directions.u.unbind()) {
      parts.push_back(
          pull_back_examples({{edge}, {u}}, columns, directions.examples, uncovered.parameters));
    }
  }
  rows.index_copy_(1, uncovered.numbers, torch::cat(parts));
}

std::string write_uncovered(const Tensor& rows, const OutputDirections& directions,
                            const LossGraph& graph, const Uncovered& uncovered) {
  if (kPassesOfProduct * uncovered.count() < rows.size(0)) {
    try {
      write_by_columns(rows, directions, graph, uncovered.numbers);
      return "products J v";
    } catch (const c10::NotImplementedError&) {
      // Some op cannot be differentiated twice, which backward passes do not need.
    }
  }
  write_by_passes(rows, directions, graph, uncovered);
  return "backward passes";
}

/// The layers' columns; answers which parameters they cover.
std::vector<bool> write_by_layers(const Tensor& rows, const OutputDirections& directions,
                                  const LossGraph& graph) {
  const auto& parameters = graph.parameters().tensors();
  const auto examples = directions.examples;
  std::vector<int64_t> lengths;
  for (const auto& parameter : parameters) lengths.push_back(parameter.numel());
  std::vector<bool> covers(parameters.size(), true);
  for (int64_t d = 0; d < directions.u.size(0); ++d) {
    const OutputGradients u{{output_edges(graph)[directions.output]}, {directions.u[d]}};
    const auto captured = capture_below_outputs(u, graph, examples);
    const auto columns = rows.narrow(0, d * examples, examples).split_with_sizes(lengths, 1);
    for (size_t i = 0; i < parameters.size(); ++i) {
      covers[i] = covers[i] && captured.covers[i];
      if (!covers[i] || !takes_part(captured, i)) continue;
      add_rows_of_layers(columns[i], captured, captured.deltas, i, parameters[i].detach());
    }
  }
  return covers;
}

}  // namespace

std::string write_jacobian_rows(const Tensor& rows, const OutputDirections& directions,
                                const LossGraph& graph) {
  rows.zero_();
  auto covers = layers_of(graph).covers;
  const bool any = std::find(covers.begin(), covers.end(), true) != covers.end();
  if (any) covers = write_by_layers(rows, directions, graph);
  const auto uncovered = uncovered_of(graph, covers);
  if (uncovered.count() == 0) return "layers";
  const auto how = write_uncovered(rows, directions, graph, uncovered);
  return any ? "layers and " + how : how;
}

}  // namespace natgrad::detail
