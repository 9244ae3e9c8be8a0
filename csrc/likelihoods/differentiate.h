#pragma once

#include "detail.h"

// Derivatives of a user's elementwise function.

#include <torch/torch.h>

#include <functional>

namespace natgrad::detail {

struct Derivatives {
  torch::Tensor value, first, second;  // shaped like x, without a graph
};

/// f, f' and (if `twice`) f'' at x, one by one: f is elementwise, so that the derivatives of its
/// sum are those of its elements. Throws if f gives another shape or has no graph.
inline Derivatives differentiate(const std::function<torch::Tensor(const torch::Tensor&)>& f,
                                 const torch::Tensor& x, bool twice = false) {
  const c10::InferenceMode no_inference(false);
  const torch::AutoGradMode with_graph(true);
  const auto at = x.detach().clone().requires_grad_();
  const auto value = f(at);
  TORCH_CHECK(value.defined() && value.sizes() == at.sizes() && value.is_floating_point(),
              "natgrad: the function is evaluated on tensors of any shape and gives a real number "
              "for each element, but for ",
              at.sizes(), " it gave ",
              value.defined() ? c10::str(value.dtype(), " ", value.sizes()) : "nothing",
              ". Leave out sums and means.");
  const auto slope_of = [&](const torch::Tensor& y, bool keep) {
    if (!y.requires_grad()) return torch::zeros_like(at);
    const auto slope = torch::autograd::grad({y.sum()}, {at}, {}, keep, keep, true)[0];
    return slope.defined() ? slope : torch::zeros_like(at);
  };
  Derivatives result{value.detach(), slope_of(value, twice), {}};
  if (twice) result.second = slope_of(result.first, false);
  result.first = result.first.detach();
  return result;
}

/// Throws if f, the `name`, has a graph of its own, which nothing would differentiate.
inline void check_fixed(const torch::Tensor& value, const std::string& name) {
  TORCH_CHECK(!value.requires_grad(), "natgrad: ", name,
              " is fixed, but depends on tensors that require a gradient. detach() them, or make "
              "them outputs of the network.");
}

}  // namespace natgrad::detail
