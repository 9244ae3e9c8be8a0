#include <natgrad/curvature/hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/backward.h"
#include "graph/census.h"
#include "graph/loss_graph_state.h"
#include "graph/second_derivative.h"

namespace natgrad {

using torch::Tensor;

LinearOperator hessian(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  const auto one = torch::ones(shape_at(root_edge(graph)), options_at(root_edge(graph)));
  const SecondDerivative second({root_edge(graph)}, {one}, parameters);
  return {"Hessian", parameters.size(), parameters.options(),
          [second](const Tensor& v) { return second.multiply(v); }, loss_census(graph).columns()};
}

std::shared_ptr<const Curvature> Hessian::clone() const { return std::make_shared<Hessian>(*this); }

}  // namespace natgrad
