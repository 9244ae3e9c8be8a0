#pragma once

#include "detail.h"

#include "graph/layers.h"

#include <optional>

namespace natgrad::detail {

/// How a layer's rows belong to N examples of T rows each.
enum class ExampleOrder {
  Major,  ///< [N, T]: as by batch_first
  Minor   ///< [T, N]: as a recurrent net has its time steps
};

/// Numbers by which the examples are told apart, [N]: positive, a few powers of e around 1.
torch::Tensor random_scales(int64_t examples, const torch::TensorOptions& options);

/// Each example's part of u, [N, ...] or [N·T, ...], times its number.
torch::Tensor scale_examples(const torch::Tensor& u, const torch::Tensor& scales);

/// In which order the layer's rows belong to the examples, given δ, and δ again from a backward
/// pass in which the examples were scaled: an example's rows, and only they, scale with it. Nothing
/// if neither order fits, as where rows mix examples.
std::optional<ExampleOrder> order_of(const Layer& layer, const torch::Tensor& delta,
                                     const torch::Tensor& scaled_delta,
                                     const torch::Tensor& scales);

/// Rows [M, ...] as [N, T, ...].
torch::Tensor by_example(const torch::Tensor& rows, int64_t examples, ExampleOrder order);

}  // namespace natgrad::detail
