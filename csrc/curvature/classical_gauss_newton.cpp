#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/backward.h>
#include <natgrad/graph/pass_size.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// s of each output, summed over its terms.
std::vector<Tensor> weights_of_outputs(const LossGraph& graph) {
  std::vector<Tensor> weights(graph.outputs().size());
  for (const auto& term : graph.terms()) {
    const auto& z = graph.outputs()[term.output];
    auto s = term.weights;
    if (term.is_own()) {
      const auto shape = shape_at(z);
      const double examples = shape.empty() ? 1 : static_cast<double>(shape[0]);
      s = torch::full({}, 1 / examples, options_at(z));
    }
    auto& sum = weights[term.output];
    sum = sum.defined() ? sum + s : s;
  }
  return weights;
}

}  // namespace

LinearOperator classical_gauss_newton(const LossGraph& graph) {
  graph.linearization();  // its random dummy is not to be drawn while many columns are multiplied
  const auto& parameters = graph.parameters();
  return {"classical Gauss-Newton matrix", parameters.size(), parameters.options(),
          [graph, weights = weights_of_outputs(graph)](const Tensor& v) {
            torch::NoGradGuard no_grad;
            const auto& f = graph.linearization();
            auto u = f.multiply(v);
            for (size_t k = 0; k < u.size(); ++k) u[k] = weights[k] * u[k];
            return f.multiply_transposed(u);
          },
          columns_for({graph.root()})};
}

Tensor ClassicalGaussNewton::noise(const LossGraph& graph, at::Generator generator) const {
  return probed_noise(graph, classical_gauss_newton(graph), std::move(generator));
}

std::shared_ptr<const Curvature> ClassicalGaussNewton::clone() const {
  return std::make_shared<ClassicalGaussNewton>(*this);
}

}  // namespace natgrad
