#include "diagnostics/drawn_hessian.h"

#include <torch/torch.h>

#include "diagnostics/differentiable_outputs.h"
#include "graph/backward.h"
#include "libtorch/edges.h"

namespace natgrad::detail {

using torch::Tensor;

Tensor minus_hessian_of_log_prob(const Likelihood& r, const Tensor& y, const Tensor& v) {
  const torch::AutoGradMode enable_grad(true);
  const DifferentiableOutputs outputs(r.outputs());
  const auto z = edge_of(r.outputs());
  const auto log_r = r.log_prob(y).sum();
  if (!log_r.requires_grad()) return torch::zeros_like(v);
  const auto slope =
      backward({edge_of(log_r)}, {-torch::ones_like(log_r)}, {z}, Pass::Differentiable).front();
  if (!slope.defined() || !slope.requires_grad()) return torch::zeros_like(v);
  const auto product = backward({edge_of(slope)}, {v.to(slope.dtype())}, {z}).front();
  return product.defined() ? product.detach() : torch::zeros_like(v);
}

}  // namespace natgrad::detail
