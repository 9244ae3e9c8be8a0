#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>
#include <torch/types.h>

#include <memory>
#include <vector>

namespace natgrad::detail {

/// Throws `c10::Error` if a tensor or node below the loss carries a gradient hook: it would run
/// inside every product with J and Jᵀ and change them.
void check_hooks(const torch::Tensor& loss);

/// While it lives, the tensors below the loss that the user asked to `retain_grad()` do not receive
/// the cotangents of natgrad's own backward passes; afterwards the user's backward() fills them as
/// ever.
class SuspendedRetainGrad {
 public:
  explicit SuspendedRetainGrad(const torch::Tensor& loss);
  ~SuspendedRetainGrad();
  SuspendedRetainGrad(const SuspendedRetainGrad&) = delete;
  SuspendedRetainGrad& operator=(const SuspendedRetainGrad&) = delete;

 private:
  struct Hook {
    c10::intrusive_ptr<torch::autograd::Node> node;
    size_t output;
    std::unique_ptr<torch::autograd::FunctionPreHook> hook;
  };
  std::vector<Hook> hooks_;
};

}  // namespace natgrad::detail
