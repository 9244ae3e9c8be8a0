#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

namespace natgrad::detail {

/// A layer of an LSTM in one direction, which LibTorch runs on the CPU as one op over all T steps,
/// and what its node kept. The gates lie in W in the order i, f, g, o:
///
///     (i, f, g, o) = (σ, σ, tanh, σ)(W x + V h + b),  c ← f c + i g,  h ← o tanh(c).
///
/// The node's results are h of all steps, [T, N, H], and the last h and c, [N, H].
struct FusedLstm {
  torch::Tensor x;                         ///< [T, N, in]
  torch::Tensor W, V;                      ///< [4H, in] and [4H, H]
  torch::Tensor b;                         ///< [4H], the sum of both; undefined if there is none
  torch::Tensor h;                         ///< after each step, [T, N, H]
  torch::Tensor first_hidden, first_cell;  ///< [N, H]
};

/// Whether the node is such a layer's.
bool is_fused_lstm(const torch::autograd::Node& node);
/// With time reversed where the layer goes from the last step to the first, so that step 0 is the
/// first that it takes.
FusedLstm saved_fused_lstm(torch::autograd::Node& node);
/// Whether it does so.
bool is_reversed_lstm(const torch::autograd::Node& node);

/// Which inputs of the node the parameters are.
struct FusedLstmInputs {
  static constexpr size_t kW = 1, kV = 2, kFirstBias = 3, kSecondBias = 4;
};

}  // namespace natgrad::detail
