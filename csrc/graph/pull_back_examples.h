#pragma once

#include "detail.h"

#include "graph/census.h"
#include "graph/output_gradients.h"

namespace natgrad::detail {

/// Jᵢᵀuᵢ of each example for these parameters, [N, numbers in them]: a backward pass for each, many
/// at once by vmap where passes are small and their ops allow it.
torch::Tensor pull_back_examples(const OutputGradients& u, Columns columns, int64_t examples,
                                 const std::vector<torch::Tensor>& parameters);

}  // namespace natgrad::detail
