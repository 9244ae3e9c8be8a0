#pragma once

#include "support/dataset.h"

namespace benchmarks {

/// 1600 points to train on and as many held out of one function,
/// y = scale·(Σₖ sin(1.5 wₖ·x + aₖ)/√3 + 0.3 ε), six waves in eight dimensions: without `scale`,
/// the first part has variance one. The seed decides on all of it.
examples::Dataset noisy_waves(uint64_t seed, double scale);

}  // namespace benchmarks
