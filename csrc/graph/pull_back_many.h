#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/types.h>

#include <vector>

#include "graph/census.h"

namespace natgrad::detail {

/// What arrives at `inputs` in K backward passes of which pass k sends slice k of each of
/// `batches`, [K, ...], into the root of the same place: [K, Σ lengths], one input after the other,
/// zero where nothing arrives. `lengths` are the numbers of elements of the inputs. `columns`:
/// whether passes are small, and run many at once by vmap where their ops allow it.
torch::Tensor pull_back_many(const torch::autograd::edge_list& roots, Columns columns,
                             const std::vector<torch::Tensor>& batches,
                             const torch::autograd::edge_list& inputs,
                             const std::vector<int64_t>& lengths,
                             const torch::TensorOptions& options);

}  // namespace natgrad::detail
