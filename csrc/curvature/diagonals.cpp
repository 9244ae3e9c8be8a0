#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>
#include "curvature/probes.h"
#include "graph/backward.h"
#include "graph/linearization.h"
#include "graph/loss_graph_state.h"

namespace natgrad {

using torch::Tensor;

void detail::check_probes(int64_t probes) {
  TORCH_CHECK(probes >= 1, "natgrad: an estimate needs at least 1 probe, but got ", probes, ".");
}

namespace {

std::vector<Tensor> signs_of_outputs(const LossGraph& graph, at::Generator& generator) {
  std::vector<Tensor> signs;
  for (const auto& z : output_edges(graph)) {
    signs.push_back(random_signs_like(torch::empty(shape_at(z), options_at(z)), generator));
  }
  return signs;
}

}  // namespace

Tensor propagated_fisher_diagonal(const LossGraph& graph, int64_t probes, at::Generator generator,
                                  FisherWeights weights) {
  check_probes(probes);
  check_has_fisher(graph);
  torch::NoGradGuard no_grad;
  auto sum = torch::zeros({graph.parameters().size()}, graph.parameters().options());
  for (int64_t m = 0; m < probes; ++m) {
    sum += linearization_of(graph)
               .multiply_transposed(output_noise(graph, generator, weights))
               .square_();
  }
  return sum.div_(static_cast<double>(probes));
}

Tensor propagated_gauss_newton_diagonal(const LossGraph& graph, int64_t probes,
                                        at::Generator generator) {
  check_probes(probes);
  torch::NoGradGuard no_grad;
  auto sum = torch::zeros({graph.parameters().size()}, graph.parameters().options());
  for (int64_t m = 0; m < probes; ++m) {
    const auto signs = signs_of_outputs(graph, generator);
    const auto& f = linearization_of(graph);
    sum += f.multiply_transposed(signs).mul_(
        f.multiply_transposed(graph.multiply_loss_hessian(signs)));
  }
  return sum.div_(static_cast<double>(probes));
}

}  // namespace natgrad
