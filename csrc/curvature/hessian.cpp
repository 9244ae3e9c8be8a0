#include <natgrad/curvature/hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/pass_size.h"
#include "graph/second_derivative.h"

namespace natgrad {

using torch::Tensor;

LinearOperator hessian(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  const auto one = torch::ones(shape_at(graph.root()), options_at(graph.root()));
  const SecondDerivative second({graph.root()}, {one}, parameters);
  return {"Hessian", parameters.size(), parameters.options(),
          // The graph is held for what it suspends: hooks of retain_grad().
          [graph, second](const Tensor& v) { return second.multiply(v); },
          columns_for({graph.root()})};
}

std::shared_ptr<const Curvature> Hessian::clone() const { return std::make_shared<Hessian>(*this); }

}  // namespace natgrad
