#pragma once

#include "detail.h"

#include "graph/census.h"

namespace natgrad::detail {

/// Throws `c10::Error` if a tensor or node that the walk met carries a gradient hook: it would run
/// inside every product with J and Jᵀ and change them.
void check_hooks(const Census& loss);

/// From now on the tensors that the walk met and that the user asked to `retain_grad()` do not
/// receive the cotangents of natgrad's own backward passes, and those of all others as ever: each
/// tensor's hook is asked first which of them it is in.
void keep_retain_grad_out(const Census& loss);
/// Whether there has been such a tensor: natgrad's passes are then to be told by an `OwnRun`.
bool is_retain_grad_kept_out();

}  // namespace natgrad::detail
