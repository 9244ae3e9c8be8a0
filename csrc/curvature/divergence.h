#pragma once

#include "detail.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>

#include <vector>

namespace natgrad::detail {

/// s of a term of this graph, broadcastable to its z, for divergences: as in `fisher`, but that
/// Uniform keeps to the ratio of the loss's s where a spread v is a term of its own. The s of its
/// mean is 1/v times that of v, and 1/N for both would mean unit variance.
torch::Tensor divergence_weights(const LossGraph& graph, const LossTerm& term,
                                 FisherWeights weights);

/// Σ s KL(r(·|z) ‖ r(·|z')) of a term at two θ; 0-d in double, differentiable as `Likelihood::kl`.
torch::Tensor divergence_of_term(const LossTerm& term, const LossTerm& moved,
                                 const torch::Tensor& weights);

/// The sum over the terms of two graphs of one loss. The weights are those of `moved`: for a mean
/// and its spread, KL(μ, v ‖ μ', v') has (μ' - μ)²/2v'. Throws `c10::Error` if the graphs' terms
/// are not alike, or have no distributions.
double divergence(const LossGraph& graph, const LossGraph& moved, FisherWeights weights);

/// ½ Σ s (J v)ᵀF_R (J v), given J v by output: the same to second order.
double half_metric(const LossGraph& graph, const std::vector<torch::Tensor>& jv,
                   FisherWeights weights);

/// Throws `c10::Error` unless the two graphs have terms of as many kinds and shapes.
void check_same_terms(const LossGraph& graph, const LossGraph& moved);

}  // namespace natgrad::detail
