#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/pass_size.h>
#include <torch/torch.h>

#include <algorithm>

namespace natgrad {

using torch::Tensor;

LinearOperator gauss_newton(const LossGraph& graph) {
  graph.linearization();  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  return {"Gauss-Newton matrix", parameters.size(), parameters.options(),
          [graph](const Tensor& v) {
            const auto& f = graph.linearization();
            return f.multiply_transposed(graph.multiply_loss_hessian(f.multiply(v)));
          },
          columns_for({graph.root()})};
}

Tensor GaussNewton::noise(const LossGraph& graph, at::Generator generator) const {
  const auto& terms = graph.terms();
  const bool own =
      std::any_of(terms.begin(), terms.end(), [](const LossTerm& term) { return term.is_own(); });
  return own ? probed_noise(graph, gauss_newton(graph), std::move(generator))
             : gradient_noise(graph, std::move(generator));
}

std::shared_ptr<const Curvature> GaussNewton::clone() const {
  return std::make_shared<GaussNewton>(*this);
}

}  // namespace natgrad
