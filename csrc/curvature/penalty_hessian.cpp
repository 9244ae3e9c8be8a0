#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/pass_size.h>

namespace natgrad {

LinearOperator penalty_hessian(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  return {"Hessian of the penalties", parameters.size(), parameters.options(),
          [graph](const torch::Tensor& v) { return graph.multiply_penalty_hessian(v); },
          columns_for({graph.root()})};
}

}  // namespace natgrad
