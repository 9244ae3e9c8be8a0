#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include "graph/census.h"
#include "graph/loss_graph_state.h"
#include "graph/second_derivative.h"

namespace natgrad {

LinearOperator penalty_hessian(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  return {"Hessian of the penalties", parameters.size(), parameters.options(),
          [graph, &hessian = penalty_hessian_of(graph)](const torch::Tensor& v) {
            return hessian.multiply(v);
          },
          loss_census(graph).columns()};
}

}  // namespace natgrad
