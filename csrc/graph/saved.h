#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/types.h>

namespace natgrad::detail {

/// The tensor that a node saved, without its graph.
inline torch::Tensor saved(const torch::autograd::SavedVariable& variable,
                           torch::autograd::Node& node) {
  const auto t = variable.unpack(c10::intrusive_ptr<torch::autograd::Node>::reclaim_copy(&node));
  return t.defined() ? t.detach() : t;
}

/// ∂loss/∂(one element), for a node that sums elements or averages them.
inline torch::Tensor per_element(const torch::Tensor& coefficient, int64_t reduction,
                                 const torch::Tensor& elements) {
  return reduction == at::Reduction::Mean ? coefficient / elements.numel() : coefficient;
}

}  // namespace natgrad::detail
