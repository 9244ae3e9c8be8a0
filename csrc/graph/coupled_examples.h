#pragma once

#include "detail.h"

#include "graph/census.h"

namespace natgrad::detail {

/// Throws `c10::Error` if the walk met batch normalisation in training mode: each example's
/// loss then depends on all inputs. Instance normalisation, which LibTorch computes as a batch of
/// one, is none.
void check_examples_are_independent(const Census& census);

/// The first such node; null if there is none.
torch::autograd::Node* find_batch_normalisation(const Census& census);

}  // namespace natgrad::detail
