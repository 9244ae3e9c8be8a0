#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <torch/torch.h>

#include <algorithm>

#include "pulled_back.h"

namespace natgrad {

using torch::Tensor;

LinearOperator gauss_newton(const LossGraph& graph) {
  return pulled_back(graph, "Gauss-Newton matrix",
                     [graph](const auto& jv) { return graph.multiply_loss_hessian(jv); });
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
