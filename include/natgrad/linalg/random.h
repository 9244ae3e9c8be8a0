#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

namespace natgrad {

/// A generator of its own for the `stream`-th use of `seed`, so that probes neither disturb the
/// user's generators nor depend on them, and need no state to be resumed.
NATGRAD_EXPORT at::Generator make_generator(uint64_t seed, uint64_t stream = 0);

/// ±1 with equal probability, shaped like `t` and on its device; drawn on the CPU, so that a seed
/// means the same on every device.
NATGRAD_EXPORT torch::Tensor random_signs_like(const torch::Tensor& t, at::Generator& generator);
/// Standard normal numbers of the same kind.
NATGRAD_EXPORT torch::Tensor random_normal(torch::IntArrayRef shape,
                                           const torch::TensorOptions& options,
                                           at::Generator& generator);

}  // namespace natgrad
