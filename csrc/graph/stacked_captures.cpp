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

/// The layer's δ in that capture; zero where its gradients do not reach the layer.
Tensor delta_in(const Capture& capture, const Layer& layer, const Tensor& like) {
  for (size_t k = 0; k < capture.layers.size(); ++k) {
    if (capture.layers[k].output == layer.output) return capture.deltas[k];
  }
  return torch::zeros_like(like);
}

bool has(const Capture& capture, const Layer& layer) {
  return std::any_of(capture.layers.begin(), capture.layers.end(),
                     [&](const Layer& other) { return other.output == layer.output; });
}

void append_stacked(Capture& all, Layer layer, const Tensor& like, ExampleOrder order,
                    const std::vector<Capture>& captures) {
  std::vector<Tensor> deltas;
  for (const auto& capture : captures) deltas.push_back(delta_in(capture, layer, like));
  const auto count = static_cast<int64_t>(captures.size());
  const auto examples = captures.front().examples;
  layer.rows *= count;
  layer.batch *= count;
  if (layer.input.defined()) {
    layer.input = stacked_rows(std::vector<Tensor>(captures.size(), layer.input), examples, order);
  }
  append(all, std::move(layer), stacked_rows(deltas, examples, order), order);
}

}  // namespace

Capture stack(std::vector<Capture> captures) {
  if (captures.size() == 1) return std::move(captures.front());
  Capture all;
  all.examples = captures.front().examples * static_cast<int64_t>(captures.size());
  all.covers = captures.front().covers;
  for (const auto& capture : captures) {
    for (size_t i = 0; i < all.covers.size(); ++i) {
      all.covers[i] = all.covers[i] && capture.covers[i];
    }
    for (size_t k = 0; k < capture.layers.size(); ++k) {
      const auto& layer = capture.layers[k];
      if (has(all, layer)) continue;
      append_stacked(all, layer, capture.deltas[k], capture.orders[k], captures);
    }
  }
  return all;
}

}  // namespace natgrad::detail
