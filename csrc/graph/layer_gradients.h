#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

#include "graph/layers.h"

namespace natgrad::detail {

/// What a backward pass has to capture for the layers' δ: their outputs; of a fused LSTM, once for
/// all its layers, the op's results.
torch::autograd::edge_list gradient_edges(const std::vector<Layer>& layers);

/// δ by layer, from what arrived at these edges; undefined where nothing did.
std::vector<torch::Tensor> layer_gradients(const std::vector<Layer>& layers,
                                           const std::vector<torch::Tensor>& arrived);

/// What tells the order of a layer's rows: δ; of a fused LSTM the gradients of its results, all
/// with the examples in the second but last dimension, as [(T + 2)·N, H]. Its steps mix no
/// examples.
std::vector<torch::Tensor> order_gradients(const std::vector<Layer>& layers,
                                           const std::vector<torch::Tensor>& arrived);

/// Without the layers within fused LSTMs, whose parameters then are not covered.
Layers without_fused(Layers found);

}  // namespace natgrad::detail
