#include "theory/matrices.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <torch/torch.h>

#include "theory/oracles.h"

namespace examples::theory {

using natgrad::LossGraph, torch::Tensor;

Tensor fisher_of(const LossGraph& graph) { return dense(natgrad::fisher(graph)); }
Tensor gauss_newton_of(const LossGraph& graph) { return dense(natgrad::gauss_newton(graph)); }
Tensor hessian_of_graph(const LossGraph& graph) { return dense(natgrad::hessian(graph)); }

Tensor gradients_one_by_one(const Classifier& problem) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < problem.digits.count(); ++i) {
    rows.push_back(gradient_of(problem.loss_of(i), problem.network.parameters()));
  }
  return torch::stack(rows);
}

}  // namespace examples::theory
