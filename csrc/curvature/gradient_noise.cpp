#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

namespace {

/// Σᵢ sᵢ, where an example's weight is the mean over its observations.
Tensor sum_of_example_weights(const LossTerm& term) {
  const auto observations = term.weights.numel() / term.likelihood->examples();
  return term.weights.to(torch::kDouble).sum() / static_cast<double>(observations);
}

/// ‖g̃‖²/Σs; every term has a likelihood.
Tensor sampled_noise(const LossGraph& graph, at::Generator& generator) {
  std::vector<Tensor> noise(graph.outputs().size());
  auto weight_sum = torch::zeros({}, graph.parameters().options().dtype(torch::kDouble));
  for (const auto& term : graph.terms()) {
    const auto white = random_signs_like(term.likelihood->outputs(), generator);
    const auto drawn = term.weights * term.likelihood->factor_multiply(white);
    auto& sum = noise[term.output];
    sum = sum.defined() ? sum + drawn : drawn;
    // Several heads are one example's outputs: their number must not change λ.
    weight_sum = torch::maximum(weight_sum, sum_of_example_weights(term));
  }
  const auto gradient = graph.linearization().multiply_transposed(noise).to(torch::kDouble);
  // Weights that sum to zero or less leave no examples to speak of.
  return torch::where(weight_sum > 0, gradient.dot(gradient) / weight_sum, 0 * weight_sum);
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
