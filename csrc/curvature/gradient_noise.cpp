#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// Σᵢ sᵢ, where an example's weight is the mean over its outputs.
Tensor sum_of_example_weights(const LossTerm& term, const Tensor& z) {
  const auto weights = term.weights.expand_as(z).to(torch::kDouble);
  return weights.sum() / (z.dim() > 0 ? z.numel() / z.size(0) : 1);
}

/// ‖g̃‖²/Σs of the terms that have a likelihood.
Tensor sampled_noise(const LossGraph& graph, at::Generator& generator) {
  std::vector<Tensor> noise(graph.outputs().size());
  Tensor weight_sum;
  for (const auto& term : graph.terms()) {
    if (!term.likelihood) continue;
    const auto& z = term.likelihood->outputs();
    const auto drawn =
        term.weights * term.likelihood->factor_multiply(random_signs_like(z, generator));
    auto& sum = noise[term.output];
    sum = sum.defined() ? sum + drawn : drawn;
    const auto weights = sum_of_example_weights(term, z);
    weight_sum = weight_sum.defined() ? weight_sum + weights : weights;
  }
  if (!weight_sum.defined())
    return torch::zeros({}, graph.parameters().options().dtype(torch::kDouble));
  const auto gradient = graph.linearization().multiply_transposed(noise).to(torch::kDouble);
  // Weights that sum to zero or less leave no examples to speak of.
  return torch::where(weight_sum > 0, gradient.dot(gradient) / weight_sum,
                      torch::zeros_like(weight_sum));
}

/// vᵀGv/N with v of random signs.
Tensor probed_noise(const LossGraph& graph, at::Generator& generator) {
  const auto v = random_signs_like(
      torch::empty({graph.parameters().size()}, graph.parameters().options()), generator);
  return (v.dot(gauss_newton(graph).multiply(v)).to(torch::kDouble) /
          static_cast<double>(graph.examples()))
      .clamp_min(0);
}

}  // namespace

Tensor gradient_noise(const LossGraph& graph, at::Generator generator) {
  torch::NoGradGuard no_grad;
  for (const auto& term : graph.terms()) {
    if (!term.likelihood) return probed_noise(graph, generator);
  }
  return sampled_noise(graph, generator);
}

}  // namespace natgrad
