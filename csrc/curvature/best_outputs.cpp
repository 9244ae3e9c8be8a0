#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

#include "curvature/scored_examples.h"

namespace natgrad {

using torch::Tensor;

std::vector<Tensor> best_outputs(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  check_has_fisher(graph);
  std::vector<Tensor> best;
  for (const auto& term : graph.terms()) {
    const auto [weights, score] = weighted_score(term, /*is_likelihood=*/true);
    best.push_back(term.likelihood->fisher_solve(score));
  }
  return best;
}

double bound(const LossGraph& graph) {
  const torch::NoGradGuard no_grad;
  TORCH_CHECK_VALUE(graph.negative_weights() == 0, "natgrad: ", graph.negative_weights(),
                    " of the loss's weights are negative, so that its quadratic model has no lower "
                    "bound. Take the bound of a loss whose terms are all minimised.");
  const auto best = best_outputs(graph);
  double sum = 0;
  for (size_t k = 0; k < best.size(); ++k) {
    const auto [weights, score] = weighted_score(graph.terms()[k], /*is_likelihood=*/true);
    sum += (weights * score * best[k]).sum(torch::kDouble).item<double>();
  }
  return -0.5 * sum;
}

}  // namespace natgrad
