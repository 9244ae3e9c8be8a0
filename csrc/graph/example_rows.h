#pragma once

#include "detail.h"

#include "graph/layers.h"

#include "graph/example_order.h"

namespace natgrad::detail {

/// [M, groups, positions, R] as [N, groups, rows of the example · positions, R].
torch::Tensor gather_rows(const torch::Tensor& factor, int64_t examples, ExampleOrder order);

/// Adds the shares of a layer in the examples' gradients of its weight, of the given shape, to
/// `rows`, [N, numbers in W], given δ in `rows`' dtype.
void add_weight_rows(const torch::Tensor& rows, Layer layer, const torch::Tensor& delta,
                     ExampleOrder order, torch::IntArrayRef shape);

/// The same of its bias.
void add_bias_rows(const torch::Tensor& rows, const Layer& layer, const torch::Tensor& delta,
                   ExampleOrder order, torch::IntArrayRef shape);

}  // namespace natgrad::detail
