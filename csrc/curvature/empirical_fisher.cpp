#include <fmt/format.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/outer_products.h>
#include <natgrad/graph/coupled_examples.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/linalg/low_rank.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// The examples' weights in one term: the mean over an example's observations.
Tensor example_weights(const LossTerm& term) {
  const auto& likelihood = *term.likelihood;
  const auto s = term.weights.expand_as(likelihood.outputs());
  if (s.dim() <= likelihood.example_dim()) return s.mean().reshape({1});
  const auto first = s.movedim(likelihood.example_dim(), 0);
  return first.reshape({first.size(0), -1}).mean(1);
}

/// The examples' weights s, [N]: the largest of a loss's terms, as several heads are one example's.
Tensor example_weights(const LossGraph& graph, FisherWeights choice, int64_t examples,
                       const torch::TensorOptions& options) {
  Tensor weights;
  if (choice == FisherWeights::OfTheLoss && graph.is_readable()) {
    for (const auto& term : graph.terms()) {
      if (term.is_own()) continue;
      const auto s = example_weights(term).to(options.dtype());
      TORCH_CHECK(s.numel() == examples, "natgrad: a term of the loss has ", s.numel(),
                  " examples, but the largest has ", examples,
                  ": which gradients belong together cannot be told.");
      TORCH_CHECK(s.ge(0).all().item<bool>(),
                  "natgrad: some examples have negative weights in the loss, and the empirical "
                  "Fisher matrix would be indefinite. Use "
                  "EmpiricalFisher().weights(FisherWeights::Uniform).");
      weights = weights.defined() ? torch::maximum(weights, s) : s;
    }
  }
  if (weights.defined()) return weights;
  return torch::full({examples}, 1.0 / static_cast<double>(examples), options);
}

/// 1/s where s > 0: an example of no weight has no gradient.
Tensor reciprocal_or_zero(const Tensor& s) {
  return torch::where(s > 0, 1 / s, torch::zeros_like(s));
}

/// γᵢ = sᵢ gᵢ as rows of ∂h/∂z.
ExampleVectors gradient_vectors(const LossGraph& graph, FisherWeights choice) {
  ExampleVectors set;
  set.u.resize(graph.outputs().size());
  for (const auto& term : graph.terms()) {
    auto& sum = set.u[term.output];
    const auto gradient = term.gradient.detach();
    sum = sum.defined() ? sum + gradient : gradient;
  }
  const auto options = graph.parameters().options();
  set.weights = reciprocal_or_zero(example_weights(graph, choice, graph.examples(), options));
  return set;
}

LinearOperator from_rows(const LossGraph& graph, Moment moment, FisherWeights weights) {
  return low_rank(empirical_fisher_rows(graph, moment, weights), "empirical Fisher matrix");
}

LinearOperator from_products(const LossGraph& graph, Moment moment, FisherWeights choice) {
  check_examples_are_independent({graph.root()});
  auto vectors = gradient_vectors(graph, choice);
  const auto sum_of_weights = reciprocal_or_zero(vectors.weights).sum();
  const auto data_gradient = graph.linearization().multiply_transposed(vectors.u);
  const auto second_moment =
      sum_of_outer_products(graph, "empirical Fisher matrix", {std::move(vectors)});
  if (moment == Moment::Uncentred) return second_moment;
  const auto mean = (data_gradient / sum_of_weights.sqrt()).unsqueeze(0);
  return second_moment + (-1.0) * low_rank(mean, "mean gradient");
}

}  // namespace

Tensor empirical_fisher_rows(const LossGraph& graph, Moment moment, FisherWeights choice) {
  torch::NoGradGuard no_grad;
  const auto gradients = per_example_gradients(graph);
  const auto s = example_weights(graph, choice, gradients.size(0), gradients.options());
  const auto rows = gradients * reciprocal_or_zero(s.sqrt()).unsqueeze(1);
  if (moment == Moment::Uncentred) return rows;
  const auto mean = gradients.sum(0, /*keepdim=*/true) / s.sum();
  return rows - s.sqrt().unsqueeze(1) * mean;
}

LinearOperator empirical_fisher(const LossGraph& graph, Moment moment, FisherWeights weights) {
  torch::NoGradGuard no_grad;
  return graph.is_readable() ? from_products(graph, moment, weights)
                             : from_rows(graph, moment, weights);
}

Tensor EmpiricalFisher::noise(const LossGraph& graph, at::Generator generator) const {
  if (graph.is_readable()) {
    return probed_noise(graph, empirical_fisher(graph, moment_, weights_), std::move(generator));
  }
  const auto rows = empirical_fisher_rows(graph, moment_, weights_);
  return rows.to(torch::kDouble).square().sum() / static_cast<double>(rows.size(0));
}

std::string EmpiricalFisher::describe() const {
  return fmt::format("EmpiricalFisher({}{})", moment_ == Moment::Centred ? "centred" : "",
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::shared_ptr<const Curvature> EmpiricalFisher::clone() const {
  return std::make_shared<EmpiricalFisher>(*this);
}

}  // namespace natgrad
