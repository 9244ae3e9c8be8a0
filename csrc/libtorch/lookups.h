#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <optional>

namespace natgrad::detail {

/// A result whose rows are rows of a table W, [V, ...], or sums of such: row m of the result is
/// Σ wₖ W[indexₖ] over the entries k < K that belong to it.
struct Lookup {
  torch::Tensor index;   ///< [K], integers in [0, V)
  torch::Tensor row;     ///< m of each entry, [K]; undefined: all have as many, in order
  torch::Tensor weight;  ///< w, [K], numbers or booleans; undefined: all 1
};

/// What the node of an Embedding, EmbeddingBag (sum or mean), Index, IndexSelect or Slice looked up
/// in its input 0; entries at the padding index have weight 0. Nothing of any other op, of
/// positions other than rows, and where the gradient is more than the transpose of this: of largest
/// entries, scaled by frequency, sparse.
///
/// Throws LibTorch's own error as `saved` does.
std::optional<Lookup> lookup_of(torch::autograd::Node& node);

}  // namespace natgrad::detail
