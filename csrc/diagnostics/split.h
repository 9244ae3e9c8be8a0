#pragma once

#include <natgrad/graph/loss_graph.h>

#include <string>

#include "detail.h"

namespace natgrad::detail {

/// Where the network ends and the loss begins: z is the result of `below`, and goes into `above`.
struct Split {
  std::string below, above;
};

/// The split at one of the graph's outputs.
Split split_at(const LossGraph& graph, size_t output);

}  // namespace natgrad::detail
