#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/linear_operator.h>

#include <functional>
#include <string>
#include <vector>

namespace natgrad::detail {

/// A tensor per output of the network; undefined ones count as zero.
using OutputMap = std::function<std::vector<torch::Tensor>(const std::vector<torch::Tensor>& jv)>;

/// Jᵀ A J: v ↦ Jᵀ (A (J v)), with A a map on the network's outputs.
LinearOperator pulled_back(const LossGraph& graph, std::string name, OutputMap A);

}  // namespace natgrad::detail
