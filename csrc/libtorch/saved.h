#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/types.h>

#include "libtorch/edges.h"

namespace natgrad::detail {

/// The tensor that a node saved, without its graph. Throws LibTorch's own error if the graph has
/// been freed or the tensor changed in place (errors.h).
inline torch::Tensor saved(const torch::autograd::SavedVariable& variable,
                           torch::autograd::Node& node) {
  const auto t = variable.unpack(result_of(node).function);
  return t.defined() ? t.detach() : t;
}

}  // namespace natgrad::detail
