#pragma once

#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/graph/loss_graph.h>

#include <vector>

#include "detail.h"

namespace natgrad::detail {

/// Condition (5) of each term, in the space of the outputs alone; `share` is left open.
std::vector<TermCondition> term_conditions(const LossGraph& graph, double tolerance,
                                           const EquivalenceOptions& options);

/// H_L v - s F_R v of the k-th term, which has a distribution.
torch::Tensor difference_of_term(const LossGraph& graph, size_t k,
                                 const std::vector<torch::Tensor>& v);

}  // namespace natgrad::detail
