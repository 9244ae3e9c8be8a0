#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

namespace natgrad::detail {

/// Σᵢ wᵢ γᵢ² over the examples, elementwise, [P], with γᵢ as in `per_example_gradients`, but
/// without the [N, P] numbers: where an example is one row of a linear layer, (δ aᵀ)² = δ² (a²)ᵀ,
/// and the sum is one matrix product (Martens 2010, section 4.7; Goodfellow 2015). Of layers with
/// several rows or positions an example, the gradients of a few examples at a time are formed; of
/// parameters that no layer covers, those of all.
///
/// `weights`: w, [N], in the parameters' dtype. Costs and throws as `per_example_gradients`; throws
/// if there are not N weights.
torch::Tensor squared_example_gradients(const LossGraph& graph, const torch::Tensor& weights);

}  // namespace natgrad::detail
