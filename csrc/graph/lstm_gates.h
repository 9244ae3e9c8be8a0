#pragma once

#include "detail.h"

#include <torch/types.h>

#include "libtorch/fused_lstm.h"

namespace natgrad::detail {

/// h before each step, [T·N, H]: what V multiplies.
torch::Tensor hidden_before(const FusedLstm& lstm);

/// δ of what the gates are functions of, s = W x + V h + b, [T·N, 4H], in the parameters' dtype,
/// given the gradients of the node's three results, of which any may be undefined. The gates are
/// computed again from what the node kept, all steps at once; only c and δ go step by step.
torch::Tensor gate_gradients(const FusedLstm& lstm, const torch::Tensor& of_hidden,
                             const torch::Tensor& of_last_hidden,
                             const torch::Tensor& of_last_cell);

}  // namespace natgrad::detail
