#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include "curvature/output_root.h"

namespace natgrad {

using torch::Tensor;

std::vector<Tensor> output_noise(const LossGraph& graph, at::Generator generator,
                                 FisherWeights choice) {
  const torch::NoGradGuard no_grad;
  check_has_fisher(graph);
  return sum_by_output(graph, [&](const LossTerm& term) {
    const auto signs = random_signs_like(term.likelihood->outputs(), generator);
    return roots_of_weights(term, choice) * term.likelihood->factor_multiply(signs);
  });
}

}  // namespace natgrad
