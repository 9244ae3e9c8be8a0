#pragma once

#include "detail.h"

#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>

#include <functional>
#include <unordered_set>
#include <vector>

namespace natgrad::detail {

/// The part of a loss's graph above its terms.
struct UpperGraph {
  std::vector<torch::autograd::Node*> nodes;  ///< terms and parameters excluded
  std::unordered_set<const torch::autograd::Node*> terms, parameters;  ///< where it ends
};

/// The edges at which the loss meets what depends on parameters alone, on no term: its penalties.
/// `reject` is called with the first node, from above, that is no part of a penalty as
/// `is_penalty_part` tells, and a way from there to a parameter.
torch::autograd::edge_list find_penalties(
    UpperGraph upper, const std::function<bool(torch::autograd::Node&)>& is_penalty_part,
    const std::function<void(const std::vector<const torch::autograd::Node*>&)>& reject);

}  // namespace natgrad::detail
