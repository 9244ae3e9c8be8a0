#include "graph/layer_gradients.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <functional>
#include <unordered_map>

#include "graph/lstm_gates.h"
#include "libtorch/edges.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::edge_list;
using torch::autograd::Node;

constexpr uint32_t kLstmResults = 3;

/// Of a fused LSTM: h of all steps, the last h, the last c.
using LstmGradients = std::array<Tensor, kLstmResults>;

/// By layer, `of_output` of what arrived at an ordinary one, and `of_lstm` of what arrived at a
/// fused LSTM, which its layers share.
std::vector<Tensor> by_layer(const std::vector<Layer>& layers, const std::vector<Tensor>& arrived,
                             const std::function<Tensor(const Layer&, LstmGradients)>& of_lstm) {
  std::vector<Tensor> result;
  std::unordered_map<const Node*, Tensor> shared;
  size_t at = 0;
  for (const auto& layer : layers) {
    if (!layer.lstm) {
      result.push_back(arrived[at++]);
      continue;
    }
    const auto [place, is_first] = shared.try_emplace(layer.output.function.get());
    if (is_first) {
      const LstmGradients gradients = {arrived[at], arrived[at + 1], arrived[at + 2]};
      at += kLstmResults;
      const bool any = std::any_of(gradients.begin(), gradients.end(),
                                   [](const Tensor& g) { return g.defined(); });
      if (any) place->second = of_lstm(layer, gradients);
    }
    result.push_back(place->second);
  }
  return result;
}

}  // namespace

edge_list gradient_edges(const std::vector<Layer>& layers) {
  edge_list edges;
  std::unordered_map<const Node*, bool> met;
  for (const auto& layer : layers) {
    Node& node = *layer.output.function;
    if (!layer.lstm) {
      edges.push_back(layer.output);
    } else if (met.try_emplace(&node, true).second) {
      for (uint32_t i = 0; i < kLstmResults; ++i) edges.push_back(result_of(node, i));
    }
  }
  return edges;
}

std::vector<Tensor> layer_gradients(const std::vector<Layer>& layers,
                                    const std::vector<Tensor>& arrived) {
  return by_layer(layers, arrived, [](const Layer& layer, const LstmGradients& gradients) {
    const bool is_flipped = is_reversed_lstm(*layer.output.function) && gradients[0].defined();
    return gate_gradients(*layer.lstm, is_flipped ? gradients[0].flip(0) : gradients[0],
                          gradients[1], gradients[2]);
  });
}

std::vector<Tensor> order_gradients(const std::vector<Layer>& layers,
                                    const std::vector<Tensor>& arrived) {
  return by_layer(layers, arrived, [](const Layer& layer, const LstmGradients& gradients) {
    std::vector<Tensor> rows;
    for (uint32_t i = 0; i < kLstmResults; ++i) {
      const auto shape = shape_at(result_of(*layer.output.function, i));
      const auto all =
          gradients[i].defined() ? gradients[i] : torch::zeros(shape, options_at(layer.output));
      rows.push_back(all.reshape({-1, shape.back()}));
    }
    return torch::cat(rows);
  });
}

Layers without_fused(Layers found) {
  std::vector<Layer> kept;
  for (auto& layer : found.layers) {
    if (!layer.lstm) {
      kept.push_back(std::move(layer));
      continue;
    }
    if (layer.weight) found.covers[*layer.weight] = false;
    if (layer.bias) found.covers[*layer.bias] = false;
  }
  found.layers = std::move(kept);
  return found;
}

}  // namespace natgrad::detail
