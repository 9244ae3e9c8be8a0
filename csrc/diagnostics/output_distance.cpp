#include "diagnostics/output_distance.h"

#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad::detail {

Distributions known_distributions(const LossGraph& graph) {
  if (!graph.is_readable() || !has_fisher(graph)) return {};
  Distributions all;
  for (const auto& term : graph.terms()) all.push_back(term.likelihood);
  return all;
}

double distance_between(const Distributions& a, const Distributions& b) {
  const torch::NoGradGuard no_grad;
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    const auto d = b[k]->outputs().detach() - a[k]->outputs().detach();
    const auto square = (d * a[k]->fisher_multiply(d)).sum(torch::kDouble).item<double>();
    sum += square / static_cast<double>(a[k]->examples());
  }
  return std::sqrt(sum);
}

}  // namespace natgrad::detail
