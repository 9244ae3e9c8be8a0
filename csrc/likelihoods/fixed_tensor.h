#pragma once

#include "detail.h"

// A likelihood's fixed parameter that is a tensor: a variance, a covariance.

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/torch.h>

#include <functional>
#include <string>
#include <string_view>

namespace natgrad::detail {

/// A copy of `t` in the outputs' dtype. Throws unless it is a floating constant on their device.
inline torch::Tensor fixed_tensor(const torch::Tensor& t, const torch::Tensor& outputs,
                                  const std::string& name) {
  TORCH_CHECK(t.defined() && t.is_floating_point(), "natgrad: the ", name,
              " is a floating-point tensor, but got ",
              t.defined() ? toString(t.scalar_type()) : "an undefined one", ".");
  TORCH_CHECK(t.device() == outputs.device(), "natgrad: the ", name, " is on ", t.device(),
              " but the outputs on ", outputs.device(), "; move it with .to().");
  TORCH_CHECK(!t.requires_grad(), "natgrad: the ", name,
              " is fixed, but requires a gradient. detach() it, or make it an output of the "
              "network with natgrad::NaturalGaussian.");
  return t.to(outputs.options(), /*non_blocking=*/false, /*copy=*/true);
}

/// Shape and a hash of the contents: equal for equal tensors, different for different ones.
inline std::string fingerprint(const torch::Tensor& t) {
  const auto plain = t.to(torch::kCPU).contiguous();
  const std::string_view bytes(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  return fmt::format("[{}] #{:016x}", fmt::join(t.sizes(), ", "),
                     std::hash<std::string_view>()(bytes));
}

}  // namespace natgrad::detail
