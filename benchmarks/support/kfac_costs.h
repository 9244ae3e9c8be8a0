#pragma once

#include <torch/types.h>

#include <cstdint>

#include "support/page.h"

namespace benchmarks {

/// Adds what the parts of a step of `presets::kfac()` cost on the autoencoder with this batch and
/// the curvature of an eighth of it, in processor milliseconds: each time, and in the mean of a
/// step.
void add_kfac_costs(const torch::Tensor& images, uint64_t seed, Page& page);

}  // namespace benchmarks
