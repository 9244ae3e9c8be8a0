#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

#include "curvature/outer_products.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// Σᵢ sᵢ, where an example's weight is the mean over those of its observations that count.
double sum_of_example_weights(const Tensor& weights, const Likelihood& likelihood) {
  if (weights.ne(0).all().item<bool>()) {
    return weights.mean(torch::kDouble).item<double>() * static_cast<double>(likelihood.examples());
  }
  const auto rows =
      rows_of_examples(weights.expand_as(likelihood.outputs()), likelihood.example_dim())
          .to(torch::kDouble);
  return (rows.sum(1) / rows.ne(0).sum(1).clamp_min(1)).sum().item<double>();
}

}  // namespace

Tensor gradient_noise(const LossGraph& graph, at::Generator generator, FisherWeights choice) {
  torch::NoGradGuard no_grad;
  check_has_fisher(graph);
  const auto noise = sum_by_output(graph, [&](const LossTerm& term) {
    const auto white = random_signs_like(term.likelihood->outputs(), generator);
    return weights_of(term, choice) * term.likelihood->factor_multiply(white);
  });
  const auto gradient = linearization_of(graph).multiply_transposed(noise);
  const auto norm = torch::linalg_vector_norm(gradient, 2, std::nullopt, false, torch::kDouble);
  // Neither the number of heads on one example must change λ, nor that of pieces of one batch.
  const double weight_sum = sum_over_examples(graph, [&](const LossTerm& term) {
    return sum_of_example_weights(weights_of(term, choice), *term.likelihood);
  });
  // Weights that sum to zero or less leave no examples to speak of.
  return weight_sum > 0 ? norm.square() / weight_sum : torch::zeros_like(norm);
}

Tensor probed_noise(const LossGraph& graph, const LinearOperator& C, at::Generator generator) {
  torch::NoGradGuard no_grad;
  const auto v = random_signs_like(
      torch::empty({graph.parameters().size()}, graph.parameters().options()), generator);
  return (v.dot(C.multiply(v)).to(torch::kDouble) / graph.distinct_examples()).clamp_min(0);
}

}  // namespace natgrad
