#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>

#include <vector>

#include "graph/census.h"

namespace natgrad::detail {

/// Which outputs are about the same examples: those with the same inputs below them, as several
/// heads on a trunk. The micro-batches of a loop have inputs of their own each, and so has each
/// time step of a recurrent net.
struct ExampleGroups {
  std::vector<size_t> of_output;  ///< by output: its group, of 0, ..., count - 1
  size_t count = 0;
  bool all_seen = true;  ///< whether some input was seen below each output
};

/// By one walk over the network below the outputs. Inputs are the leaves that are no parameters,
/// and the tensors of `data_inputs` where nothing but parameters meets them (so not dropout's
/// masks): the same one is known by its place in memory. An output below which none is seen counts
/// as a group of its own.
ExampleGroups example_groups(const Census& network, const ParameterLayout& parameters);

}  // namespace natgrad::detail
