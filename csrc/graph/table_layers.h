#pragma once

#include "detail.h"

#include <torch/types.h>

#include <optional>

#include "graph/layers.h"
#include "graph/parameter_uses.h"

namespace natgrad::detail {

/// The layer that a use of a parameter W makes by taking rows of it: an embedding, a bag of them, a
/// selection of rows. Where all that is made of these is added to something larger (positions that
/// all examples share, of an embedding or a slice of W), the layer is that sum. Nothing of any
/// other use.
std::optional<Layer> read_lookup(const Use& use, size_t parameter, const torch::Tensor& W,
                                 const Consumers& consumers);

/// The same of an addition or expansion that repeats W itself, as [T, 1, C] in [T, N, C].
std::optional<Layer> read_repetition(const Use& use, size_t parameter, const torch::Tensor& W);

}  // namespace natgrad::detail
