#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <cstdint>

namespace natgrad {

/// A generator of its own for the `stream`-th use of `seed`, so that probes neither disturb the
/// user's generators nor depend on them, and need no state to be resumed.
NATGRAD_EXPORT at::Generator make_generator(uint64_t seed, uint64_t stream = 0);

/// What random numbers are drawn for.
enum class Purpose : uint64_t {
  Linearity = 1,   ///< the probe of whether a loss is linear in its terms
  Linearization,   ///< the dummy that J v is the derivative by
  HiddenStates,    ///< the same of structural damping
  Curvature,       ///< targets that a curvature samples
  DampingMatrix,   ///< probes of a damping matrix
  Preconditioner,  ///< probes of a preconditioner
  Noise            ///< probes of the gradient's noise
};

/// The random numbers of one step, a stream for each purpose: none depends on which others were
/// drawn, or in which order.
class NATGRAD_EXPORT RandomStreams {
 public:
  /// Those of the `step`-th step under this seed.
  explicit RandomStreams(uint64_t seed = 0, uint64_t step = 0);
  /// Those of the generator's seed; it is not drawn from.
  RandomStreams(const at::Generator& generator);  // NOLINT: a generator stands for its seed
  /// From the stream's beginning.
  at::Generator generator(Purpose purpose) const;

 private:
  uint64_t seed_;
};

/// ±1 with equal probability, shaped like `t` and on its device; drawn on the CPU, so that a seed
/// means the same on every device.
NATGRAD_EXPORT torch::Tensor random_signs_like(const torch::Tensor& t, at::Generator& generator);
/// Standard normal numbers of the same kind.
NATGRAD_EXPORT torch::Tensor random_normal(torch::IntArrayRef shape,
                                           const torch::TensorOptions& options,
                                           at::Generator& generator);

}  // namespace natgrad
