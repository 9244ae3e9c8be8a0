#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include "graph/pass_size.h"
#include "graph/second_derivative.h"

namespace natgrad {

LinearOperator penalty_hessian(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  return {"Hessian of the penalties", parameters.size(), parameters.options(),
          [graph, &hessian = graph.penalty_hessian()](const torch::Tensor& v) {
            return hessian.multiply(v);
          },
          columns_for({graph.root()})};
}

}  // namespace natgrad
