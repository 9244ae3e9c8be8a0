#pragma once

#include "detail.h"

#include <torch/types.h>

#include <vector>

#include "graph/example_order.h"
#include "graph/layers.h"

namespace natgrad::detail {

/// What the examples' gradients of a table W, [V, d], are made of: that of example e is the sum of
/// its entries' vectors, each in its row of W.
struct TableEntries {
  torch::Tensor index;    ///< which row of W, [K]
  torch::Tensor vectors;  ///< [K, d]
  torch::Tensor example;  ///< [K]; undefined: entry k is of example k mod N, each has as many
};

/// Those of an Embedding layer, given δ = ∂h/∂s.
TableEntries table_entries(const Layer& layer, const torch::Tensor& delta, int64_t examples,
                           ExampleOrder order);

/// Whose entries they are, [K].
torch::Tensor examples_of(const TableEntries& entries, int64_t examples);

/// All of them together.
TableEntries joined(const std::vector<TableEntries>& parts, int64_t examples);

/// The same with one entry for each example and row that it touches, sorted by rows.
TableEntries merged(const TableEntries& entries, int64_t examples);

}  // namespace natgrad::detail
