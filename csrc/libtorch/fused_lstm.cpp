#include "libtorch/fused_lstm.h"

#include <torch/csrc/autograd/generated/Functions.h>

#include "libtorch/saved.h"

namespace natgrad::detail {

using torch::Tensor;
using torch::autograd::Node;
using FusedLayer = torch::autograd::generated::MkldnnRnnLayerBackward0;

namespace {

constexpr int64_t kLstmMode = 2;  // of the ops that the node stands for

}  // namespace

bool is_fused_lstm(const Node& node) {
  const auto* layer = dynamic_cast<const FusedLayer*>(&node);
  return layer && layer->mode == kLstmMode && layer->batch_sizes.empty();
}

bool is_reversed_lstm(const Node& node) { return static_cast<const FusedLayer&>(node).reverse; }

FusedLstm saved_fused_lstm(Node& node) {
  auto& layer = static_cast<FusedLayer&>(node);
  const auto in_time = [&](const Tensor& t) { return layer.reverse ? t.flip(0) : t; };
  const auto h = saved(layer.result0_, node);
  const auto first = [&](const torch::autograd::SavedVariable& state) {
    return saved(state, node).reshape({h.size(1), h.size(2)});
  };
  FusedLstm lstm{.x = in_time(saved(layer.input_, node)),
                 .W = saved(layer.weight0_, node),
                 .V = saved(layer.weight1_, node),
                 .b = {},
                 .h = in_time(h),
                 .first_hidden = first(layer.hx__),
                 .first_cell = first(layer.cx__)};
  if (layer.has_biases) lstm.b = saved(layer.weight2_, node) + saved(layer.weight3_, node);
  return lstm;
}

}  // namespace natgrad::detail
