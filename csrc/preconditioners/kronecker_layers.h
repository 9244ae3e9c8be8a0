#pragma once

#include "detail.h"

#include <natgrad/preconditioners/kronecker_factors.h>
#include "graph/layers.h"

namespace natgrad::detail {

/// A block that is to be filled, and the layers whose rows belong to it.
struct PlannedBlock {
  KroneckerBlock block;  // factors undefined
  std::vector<size_t> layers;
  int64_t groups = 1, activations = 0, gradients = 0;  // the factors' sizes
};

/// One for each weight that all of its layers use alike, with no factor beyond `largest`; none for
/// tables whose rows are looked up.
std::vector<PlannedBlock> plan_blocks(const std::vector<Layer>& layers,
                                      const ParameterLayout& parameters, int64_t largest);

}  // namespace natgrad::detail
