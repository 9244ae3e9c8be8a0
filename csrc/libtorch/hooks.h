#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <vector>

namespace natgrad::detail {

/// Throws `c10::Error` if one of the nodes, or a tensor that it made, carries a gradient hook: it
/// would run inside every product with J and Jᵀ and change them.
void check_hooks(const std::vector<torch::autograd::Node*>& nodes);

/// From now on the tensors that these nodes made and that the user asked to `retain_grad()` do not
/// receive the cotangents of natgrad's own backward passes, and those of all others as ever: each
/// tensor's hook is asked first which of them it is in. That is written into the graph, once, and
/// stays; it is all that natgrad writes there.
void keep_retain_grad_out(const std::vector<torch::autograd::Node*>& nodes);
/// Whether there has been such a tensor: natgrad's passes are then to be told by an `OwnRun`.
bool is_retain_grad_kept_out();

}  // namespace natgrad::detail
