#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

namespace natgrad {

/// How far a hidden state h' is from h: a distance D(h, h') ≥ 0 with D(h, h) = 0, summed over the
/// units. What counts is its Hessian in h' at h' = h, which is diagonal.
enum class HiddenDistance {
  Squared,               ///< ½‖h - h'‖²: H_D = I, for any units
  LogisticCrossEntropy,  ///< -h log h' - (1-h) log(1-h'), up to a constant: H_D = 1/(h(1-h)), for
                         ///< units in [0, 1]
  TanhCrossEntropy       ///< the same of q = (1+h)/2: H_D = 1/(1-h²), for units in [-1, 1]
};

/// Marks a hidden state for structural damping (see structural_damping.h), in the forward pass:
///
/// ```cpp
/// h = natgrad::hidden(torch::tanh(a), natgrad::HiddenDistance::TanhCrossEntropy);
/// ```
///
/// h: [N, ...], dimension 0 the examples. It is the identity, and changes nothing else: not how the
/// loss is read, no product, no gradient. Mark each state once, and compute on from what this
/// returns, not from h. The cross-entropies keep h, which is not to be changed in place afterwards.
/// Throws `c10::Error` for an h without dimensions.
NATGRAD_EXPORT torch::Tensor hidden(const torch::Tensor& h,
                                    HiddenDistance distance = HiddenDistance::Squared);

}  // namespace natgrad
