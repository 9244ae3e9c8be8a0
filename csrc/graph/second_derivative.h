#pragma once

#include "detail.h"

#include <natgrad/linalg/parameters.h>
#include <torch/csrc/autograd/edge.h>

#include <vector>

namespace natgrad::detail {

/// Products with ∇²_θ Σₖ cₖ·tₖ for tensors t of a graph and fixed coefficients c: v ↦ ∂(∇·v)/∂θ
/// (Pearlmutter 1994), by double backward.
///
/// Where a norm is zero it has a kink: the gradient 0 is taken for it there, as LibTorch does, and
/// the curvature 0.
///
/// Building it costs one differentiable backward pass, a product about two plain ones.
class SecondDerivative {
 public:
  /// `tensors`: their edges; `coefficients`: shaped like them.
  SecondDerivative(const torch::autograd::edge_list& tensors,
                   const std::vector<torch::Tensor>& coefficients, ParameterLayout parameters);

  /// For v of [P], shape [P].
  torch::Tensor multiply(const torch::Tensor& v) const;

 private:
  ParameterLayout parameters_;
  torch::autograd::edge_list parameter_edges_;
  torch::autograd::edge_list gradient_;  // where it depends on θ
  std::vector<size_t> reached_;          // the parameters they belong to
};

/// Throws `c10::NotImplementedError`, naming the op, if the slopes of a tensor in these inputs
/// leave the graph on their way, as in a backward on raw data: their derivatives would silently be
/// wrong.
void check_slopes_are_differentiable(const torch::autograd::Edge& tensor,
                                     const torch::autograd::edge_list& inputs);

}  // namespace natgrad::detail
