#pragma once

#include "detail.h"

#include "graph/census.h"
#include "graph/output_gradients.h"

namespace natgrad::detail {

/// Jᵢᵀuᵢ of each example for these parameters, [N, numbers in them]: a backward pass for each, many
/// at once by vmap where passes are small and their ops allow it.
torch::Tensor pull_back_examples(const OutputGradients& u, Columns columns, int64_t examples,
                                 const std::vector<torch::Tensor>& parameters);

/// The same for all parameters, [N, P], and any u of the outputs' shapes, by the layers where these
/// tell it; an undefined u counts as zero. `per_example_gradients` is that of u = ∂h/∂z, and costs
/// and throws alike.
torch::Tensor pull_back_each_example(const LossGraph& graph, const std::vector<torch::Tensor>& u);

}  // namespace natgrad::detail
