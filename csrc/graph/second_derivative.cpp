#include "graph/second_derivative.h"
#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/linearization.h"

namespace natgrad::detail {

using torch::Tensor;

SecondDerivative::SecondDerivative(const torch::autograd::edge_list& tensors,
                                   const std::vector<Tensor>& coefficients,
                                   ParameterLayout parameters)
    : parameters_(std::move(parameters)), parameter_edges_(edges_of(parameters_.tensors())) {
  const auto gradient = backward(tensors, coefficients, parameter_edges_, Pass::Differentiable);
  for (size_t i = 0; i < gradient.size(); ++i) {
    if (!gradient[i].defined() || !gradient[i].requires_grad()) continue;
    gradient_.push_back(torch::autograd::impl::gradient_edge(gradient[i]));
    reached_.push_back(i);
  }
}

Tensor SecondDerivative::multiply(const Tensor& v) const {
  const auto pieces = parameters_.views(v);
  std::vector<Tensor> cotangents;
  for (size_t k = 0; k < gradient_.size(); ++k) {
    cotangents.push_back(pieces[reached_[k]].to(options_at(gradient_[k]).dtype()));
  }
  torch::NoGradGuard no_grad;
  return parameters_.flatten(backward(gradient_, cotangents, parameter_edges_));
}

}  // namespace natgrad::detail
