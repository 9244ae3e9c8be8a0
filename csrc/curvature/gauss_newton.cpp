#include <natgrad/curvature/gauss_newton.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

LinearOperator gauss_newton(const LossGraph& graph) {
  const auto& parameters = graph.parameters();
  return {"Gauss-Newton matrix", parameters.size(), parameters.options(), [graph](const Tensor& v) {
            const auto& f = graph.linearization();
            return f.multiply_transposed(graph.multiply_loss_hessian(f.multiply(v)));
          }};
}

std::shared_ptr<const Curvature> GaussNewton::clone() const {
  return std::make_shared<GaussNewton>(*this);
}

}  // namespace natgrad
