#pragma once

#include "detail.h"

#include "graph/census.h"

namespace natgrad::detail {

/// Whether the kinds and shapes of the ops alone show that row i of every activation belongs to
/// example i of N and to no other: linear and convolutional layers, elementwise functions, pooling,
/// views that keep dimension 0, normalisation within an example or by running statistics. Where
/// this says no, they may still: a probe has to tell (example_order.h).
bool keep_examples(const Census& network, int64_t examples);

}  // namespace natgrad::detail
