#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>

namespace natgrad::detail {

/// Throws `c10::Error` if batch normalisation in training mode lies below the roots: each example's
/// loss then depends on all inputs. Instance normalisation, which LibTorch computes as a batch of
/// one, is none.
void check_examples_are_independent(const torch::autograd::edge_list& roots);

}  // namespace natgrad::detail
