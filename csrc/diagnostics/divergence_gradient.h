#pragma once

#include "detail.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>

namespace natgrad::detail {

/// A divergence and its gradient in d.
struct DivergenceGradient {
  double value = 0;
  torch::Tensor gradient;  ///< [P]
};

/// Of KL(p(θ + d) ‖ p(θ)), or `reverse`d, for the graphs at θ and at θ + d; to be asked while the
/// parameters are at θ + d. A product with J and one with Jᵀ.
DivergenceGradient divergence_gradient(const LossGraph& graph, const LossGraph& moved,
                                       const torch::Tensor& d, FisherWeights weights, bool reverse);

}  // namespace natgrad::detail
