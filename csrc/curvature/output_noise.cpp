#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

std::vector<Tensor> output_noise(const LossGraph& graph, at::Generator generator,
                                 FisherWeights choice) {
  const torch::NoGradGuard no_grad;
  check_has_fisher(graph);
  return sum_by_output(graph, [&](const LossTerm& term) {
    const auto weights = weights_of(term, choice);
    TORCH_CHECK(weights.ge(0).all().item<bool>(),
                "natgrad: some weights of the loss are negative, and F has no root. Use "
                "FisherWeights::Uniform.");
    const auto signs = random_signs_like(term.likelihood->outputs(), generator);
    return weights.sqrt() * term.likelihood->factor_multiply(signs);
  });
}

}  // namespace natgrad
