#include "diagnostics/divergence_gradient.h"

#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include "curvature/divergence.h"
#include "diagnostics/differentiable_outputs.h"

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// ∂value/∂z.
Tensor slope_of(const Tensor& value, const DifferentiableOutputs& z) {
  return torch::autograd::grad({value}, {z.tensor()}, {}, /*retain_graph=*/true)[0].detach();
}

void check_weights_are_fixed(const LossGraph& graph) {
  for (const auto& term : graph.terms()) {
    TORCH_CHECK_VALUE(!dynamic_cast<const ResidualSpread*>(term.likelihood.get()),
                      "natgrad: the loss has a mean and its spread as terms of their own, whose "
                      "weights move with the spread. Write it as "
                      "natgrad::nll(natgrad::LogVarianceGaussian(z), y), z of [N, 2].");
  }
}

}  // namespace

DivergenceGradient divergence_gradient(const LossGraph& graph, const LossGraph& moved,
                                       const Tensor& d, FisherWeights weights, bool reverse) {
  const torch::AutoGradMode enable_grad(true);
  check_same_terms(graph, moved);
  check_weights_are_fixed(moved);
  const auto jd = moved.multiply_jacobian(d);
  DivergenceGradient result;
  std::vector<Tensor> slopes(moved.outputs());
  for (size_t k = 0; k < moved.terms().size(); ++k) {
    const auto &here = graph.terms()[k], &there = moved.terms()[k];
    const auto s = divergence_weights(moved, there, weights);
    const DifferentiableOutputs z(there.likelihood->outputs());
    const auto kl =
        reverse ? divergence_of_term(here, there, s) : divergence_of_term(there, here, s);
    result.value += kl.item<double>();
    // A location family may hold z with the other sign, for which its F_R is the same: J d tells.
    // In the metric F_R, to which the constant in logits does not matter.
    const auto change = (z.tensor() - here.likelihood->outputs()).detach();
    const auto pushed = there.likelihood->fisher_multiply(change);
    const bool is_mirrored = (jd[there.output] * pushed).sum().item<double>() < 0;
    const auto slope = is_mirrored ? -slope_of(kl, z) : slope_of(kl, z);
    auto& sum = slopes[there.output];
    sum = sum.defined() ? sum + slope : slope;
  }
  result.gradient = moved.multiply_jacobian_transposed(slopes).detach();
  return result;
}

}  // namespace natgrad::detail
