#pragma once

#include <torch/types.h>

#include <cstdint>

namespace benchmarks {

constexpr int64_t kCurveSide = 28;

/// `count` images of smooth curves, [count, 28·28] in float32 with values in [0, 1], in the manner
/// of the "curves" of Hinton & Salakhutdinov (2006): each shows the parabola in t through three
/// points drawn uniformly in [4, 24]², at t = 0, ½ and 1, with a soft edge. The seed decides.
torch::Tensor draw_curves(int64_t count, uint64_t seed);

}  // namespace benchmarks
