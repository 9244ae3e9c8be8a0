#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// s, or 1/N for a loss of the user's own.
Tensor weights_of(const LossGraph& graph, const LossTerm& term) {
  if (!term.is_own()) return term.weights;
  return torch::full({}, 1.0 / static_cast<double>(graph.examples_of(term)),
                     term.gradient.options());
}

}  // namespace

LinearOperator classical_gauss_newton(const LossGraph& graph) {
  const auto weights =
      sum_by_output(graph, [&](const LossTerm& term) { return weights_of(graph, term); });
  return pulled_back(
      graph,
      [weights](auto jv) {
        for (size_t k = 0; k < jv.size(); ++k) jv[k] = weights[k] * jv[k];
        return jv;
      },
      "classical Gauss-Newton matrix");
}

std::shared_ptr<const Curvature> ClassicalGaussNewton::clone() const {
  return std::make_shared<ClassicalGaussNewton>(*this);
}

}  // namespace natgrad
