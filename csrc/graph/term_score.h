#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

namespace natgrad::detail {

/// ∇_z log r(y|z) of a term's observations, without their weights; 0 where the weight is 0. Of a
/// term with a gradient that is not the user's own.
torch::Tensor score_of(const LossTerm& term);

}  // namespace natgrad::detail
