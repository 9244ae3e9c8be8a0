#include "support/example_gradients.h"

#include <algorithm>

#include "support/dense_oracles.h"

namespace natgrad::testing {

Tensor example_gradients(const Problem& problem) {
  const auto z = problem.z.detach().requires_grad_();
  const auto reference = problem.loss_case.reference(split(z, problem.loss_case));
  const auto gradient = torch::autograd::grad({reference}, {z})[0];
  const auto j =
      jacobian(problem.z, problem.network.parameters).view({kExamples, kOutputs, problem.size()});
  return torch::einsum("nm,nmp->np", {gradient, j});
}

Tensor example_weights(const LossCase& loss) {
  Tensor weights;
  for (const auto& term : loss.terms) {
    const auto shape = loss.shapes[term.output];
    const auto s = term.weights.expand(shape).reshape({kExamples, -1}).mean(1);
    weights = weights.defined() ? torch::maximum(weights, s) : s;
  }
  return weights.defined() ? weights : torch::full({kExamples}, 1. / kExamples, torch::kDouble);
}

Tensor empirical_fisher_matrix(const Tensor& gradients, const Tensor& weights) {
  auto sum = torch::zeros({gradients.size(1), gradients.size(1)}, torch::kDouble);
  for (int64_t i = 0; i < gradients.size(0); ++i) {
    const double s = weights[i].item<double>();
    if (s > 0) sum += gradients[i].outer(gradients[i]) / s;
  }
  return sum;
}

std::vector<LossCase> losses_of_examples() {
  const auto counts_examples = [](const std::vector<int64_t>& shape) {
    return shape.size() >= 2 && shape[0] == kExamples;
  };
  std::vector<LossCase> chosen;
  for (const auto& loss : losses()) {
    const bool first = std::all_of(loss.shapes.begin(), loss.shapes.end(), counts_examples);
    const bool positive =
        std::all_of(loss.terms.begin(), loss.terms.end(),
                    [](const ExpectedTerm& term) { return term.weights.ge(0).all().item<bool>(); });
    if (first && positive && loss.name != "LogSoftmaxOfFirstDimension") chosen.push_back(loss);
  }
  return chosen;
}

}  // namespace natgrad::testing
