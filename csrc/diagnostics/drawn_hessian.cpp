#include "diagnostics/drawn_hessian.h"

#include <torch/torch.h>

#include "graph/backward.h"
#include "libtorch/edges.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// While it lives, a likelihood's outputs can be differentiated by: those of a loss that was read
/// off its graph are without one.
class DifferentiableOutputs {
 public:
  explicit DifferentiableOutputs(const Likelihood& r)
      : z_(r.outputs()), had_graph_(z_.requires_grad()) {
    if (!had_graph_) z_.set_requires_grad(true);
  }
  ~DifferentiableOutputs() {
    if (!had_graph_) z_.set_requires_grad(false);
  }
  DifferentiableOutputs(const DifferentiableOutputs&) = delete;
  DifferentiableOutputs& operator=(const DifferentiableOutputs&) = delete;

 private:
  Tensor z_;
  bool had_graph_;
};

}  // namespace

Tensor minus_hessian_of_log_prob(const Likelihood& r, const Tensor& y, const Tensor& v) {
  const torch::AutoGradMode enable_grad(true);
  const DifferentiableOutputs outputs(r);
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
