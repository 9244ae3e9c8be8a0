#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>
#include <natgrad/step_control/output_move.h>

namespace natgrad::detail {

/// Of the displacement v, [P]: one product J v, and with the first a backward pass; nothing for a
/// loss that cannot be read.
OutputMove output_move(const LossGraph& graph, const torch::Tensor& v);

}  // namespace natgrad::detail
