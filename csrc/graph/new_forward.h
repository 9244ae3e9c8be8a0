#pragma once

#include "detail.h"

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "graph/census.h"

namespace natgrad::detail {

/// An instant on this thread, between the ops that autograd records.
struct Instant {
  uint64_t sequence = 0, thread = 0;
  static Instant now();
};

/// Throws `c10::Error` if an op used a parameter before that instant, at which the parameters
/// moved: the loss is then that of other parameters. LibTorch itself notices where a backward saved
/// the parameter, which that of a single linear layer does not. A view of a parameter moves with
/// it, and what other threads recorded is not told apart.
void check_forward_is_new(const Census& below_loss, const std::vector<torch::Tensor>& parameters,
                          const Instant& moved);

}  // namespace natgrad::detail
