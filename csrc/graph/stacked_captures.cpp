#include "graph/stacked_captures.h"

#include <torch/torch.h>

#include <algorithm>
#include <utility>

namespace natgrad::detail {
namespace {

using torch::Tensor;

/// Rows of N examples each, in that order, as those of all examples in the same order.
Tensor stacked_rows(const std::vector<Tensor>& parts, int64_t examples, ExampleOrder order) {
  if (order == ExampleOrder::Major) return torch::cat(parts);
  std::vector<Tensor> by_step;
  for (const auto& part : parts) by_step.push_back(part.unflatten(0, {-1, examples}));
  return torch::cat(by_step, 1).flatten(0, 1);
}

/// Where the rows of repetition `k` of `count` stand.
Tensor moved_rows(const Tensor& row, int64_t k, int64_t count, int64_t rows, int64_t examples,
                  ExampleOrder order) {
  if (order == ExampleOrder::Major) return row + k * rows;
  const auto step = row.div(examples, "floor");
  return step * (count * examples) + k * examples + row.remainder(examples);
}

Lookup stacked(const Lookup& lookup, int64_t count, int64_t rows, int64_t examples,
               ExampleOrder order) {
  const auto copies = static_cast<size_t>(count);
  const auto repeated = [&](const Tensor& entries) {
    if (!entries.defined()) return entries;
    if (lookup.row.defined()) return torch::cat(std::vector<Tensor>(copies, entries));
    const std::vector<Tensor> parts(copies, entries.view({rows, -1}));
    return stacked_rows(parts, examples, order).reshape(-1);
  };
  Lookup all{repeated(lookup.index), {}, repeated(lookup.weight)};
  if (!lookup.row.defined()) return all;
  std::vector<Tensor> moved;
  for (int64_t k = 0; k < count; ++k) {
    moved.push_back(moved_rows(lookup.row, k, count, rows, examples, order));
  }
  all.row = torch::cat(moved);
  return all;
}

bool is_same(const Layer& a, const Layer& b) {
  return a.output == b.output && a.weight == b.weight && a.bias == b.bias && a.kind == b.kind;
}

/// The layer's δ in that capture; zero where its gradients do not reach the layer.
Tensor delta_in(const Capture& capture, const Layer& layer, const Tensor& like) {
  for (size_t k = 0; k < capture.layers.size(); ++k) {
    if (is_same(capture.layers[k], layer)) return capture.deltas[k];
  }
  return torch::zeros_like(like);
}

Layer repeated(Layer layer, int64_t count, int64_t examples, ExampleOrder order) {
  if (layer.input.defined()) {
    const std::vector<Tensor> inputs(static_cast<size_t>(count), layer.input);
    layer.input = stacked_rows(inputs, examples, order);
  }
  if (layer.lookup.index.defined()) {
    layer.lookup = stacked(layer.lookup, count, layer.rows, examples, order);
  }
  layer.rows *= count;
  layer.batch *= count;
  return layer;
}

/// The layer's order in all captures: gradients that vanish, or do at most examples, fit any.
ExampleOrder common_order(const std::vector<Capture>& captures, const Layer& layer) {
  for (const auto& capture : captures) {
    for (size_t k = 0; k < capture.layers.size(); ++k) {
      const bool is_minor = capture.orders[k] == ExampleOrder::Minor;
      if (is_minor && is_same(capture.layers[k], layer)) return ExampleOrder::Minor;
    }
  }
  return ExampleOrder::Major;
}

/// How many of the first `count` layers are this one: two lookups may add up at one node.
int64_t occurrences(const std::vector<Layer>& layers, size_t count, const Layer& layer) {
  return std::count_if(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(count),
                       [&](const Layer& other) { return is_same(other, layer); });
}

}  // namespace

Capture stack(std::vector<Capture> captures) {
  if (captures.size() == 1) return std::move(captures.front());
  const auto count = static_cast<int64_t>(captures.size());
  const auto examples = captures.front().examples;
  Capture all;
  all.examples = examples * count;
  all.covers = captures.front().covers;
  std::vector<Layer> known;
  for (const auto& capture : captures) {
    for (size_t i = 0; i < all.covers.size(); ++i) {
      all.covers[i] = all.covers[i] && capture.covers[i];
    }
    for (size_t k = 0; k < capture.layers.size(); ++k) {
      const auto& layer = capture.layers[k];
      const bool is_known =
          occurrences(known, known.size(), layer) > occurrences(capture.layers, k, layer);
      if (is_known) continue;
      known.push_back(layer);
      const auto order = common_order(captures, layer);
      std::vector<Tensor> deltas;
      for (const auto& one : captures) deltas.push_back(delta_in(one, layer, capture.deltas[k]));
      append(all, repeated(layer, count, examples, order), stacked_rows(deltas, examples, order),
             order);
    }
  }
  return all;
}

}  // namespace natgrad::detail
