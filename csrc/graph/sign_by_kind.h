#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>

namespace natgrad::detail {

/// Whether the kinds of the ops show that what flows out of this edge is nowhere negative, whatever
/// the parameters: sums, means, products and maxima of squares, absolute values, hinges, norms,
/// exponentials, -log p of a softmax or sigmoid, the losses of LibTorch. Where this says no, it may
/// still be so.
bool is_non_negative_by_kind(const torch::autograd::Edge& edge);

}  // namespace natgrad::detail
