#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <memory>
#include <vector>

namespace natgrad::detail {

/// The distributions of a graph's outputs, one for each term; empty unless all are known.
using Distributions = std::vector<std::shared_ptr<const Likelihood>>;
Distributions known_distributions(const LossGraph& graph);

/// √(mean over examples of Δzᵀ F_R Δz), summed over terms, F_R at `a`: √(2 KL) to first order.
double distance_between(const Distributions& a, const Distributions& b);

}  // namespace natgrad::detail
