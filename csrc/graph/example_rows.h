#pragma once

#include "detail.h"

#include <vector>

#include "graph/layers.h"

#include "graph/example_order.h"

namespace natgrad::detail {

/// [M, groups, positions, R] as [N, groups, rows of the example · positions, R].
torch::Tensor gather_rows(const torch::Tensor& factor, int64_t examples, ExampleOrder order);

/// A layer with its δ.
struct LayerShare {
  Layer layer;
  torch::Tensor delta;
  ExampleOrder order;
};

/// Adds the shares of all layers with the same weight, of the given shape, in the examples'
/// gradients of it to `rows`, [N, numbers in W], given δ in `rows`' dtype. The rows of linear
/// layers, the time steps of a recurrent net, meet in one product an example.
void add_weight_rows(const torch::Tensor& rows, const std::vector<LayerShare>& shares,
                     torch::IntArrayRef shape);
/// Of one layer.
void add_weight_rows(const torch::Tensor& rows, Layer layer, const torch::Tensor& delta,
                     ExampleOrder order, torch::IntArrayRef shape);

/// The same of its bias.
void add_bias_rows(const torch::Tensor& rows, const Layer& layer, const torch::Tensor& delta,
                   ExampleOrder order, torch::IntArrayRef shape);

}  // namespace natgrad::detail
