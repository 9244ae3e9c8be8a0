#include "optim/promised_share.h"

#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/fisher.h>
#include <torch/torch.h>

#include <cmath>

#include "optim/quadratic_models.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// Whether h is a sum of known likelihoods' terms, and nothing else.
bool has_bound(const Evaluator& h) {
  if (h.batch().chunks() > 1 || h.weight_decay().defined() || !h.graph().is_readable()) {
    return false;
  }
  const auto& graph = h.graph();
  return !graph.has_penalties() && graph.negative_weights() == 0 && has_fisher(graph);
}

}  // namespace

std::optional<double> promised_share(const StepData& data, const LinearOperator& C,
                                     const Tensor& displacement) {
  const auto& h = data.h();
  if (!has_bound(h)) return std::nullopt;
  try {
    const double most = bound(h.graph());
    const ModelByProducts M(h, C);
    const double slope = M.slope(displacement) / h.gradient_scale();
    const double share = (slope + 0.5 * M.curvature(displacement)) / most;
    return std::isfinite(share) ? std::optional(share) : std::nullopt;
  } catch (const c10::NotImplementedError&) {
    return std::nullopt;  // the family does not say how to solve with F_R
  }
}

}  // namespace natgrad::detail
