#pragma once

#include "detail.h"

#include <natgrad/curvature/fisher.h>

namespace natgrad::detail {

/// The weights of the divergence that this metric is claimed to be of.
inline FisherWeights divergence_weights_of(const Curvature& metric) {
  const auto* fisher = dynamic_cast<const Fisher*>(&metric);
  return fisher ? fisher->weights() : FisherWeights::OfTheLoss;
}

}  // namespace natgrad::detail
