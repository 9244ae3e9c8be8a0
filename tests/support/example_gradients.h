#pragma once

// Each example's share of a loss's gradient, by a Jacobian of plain autograd.

#include <torch/types.h>

#include "support/graph_readings.h"

namespace natgrad::testing {

/// γᵢ = Jᵢᵀ (∂h/∂z)ᵢ as rows, [kExamples, P]: what example i contributes to the loss's gradient,
/// from the loss in elementary operations.
torch::Tensor example_gradients(const Problem& problem);

/// The examples' weights in the loss, [kExamples]: the mean over an example's observations, the
/// largest over the terms; 1/N for a loss of the user's own.
torch::Tensor example_weights(const LossCase& loss);

/// Σ sᵢ gᵢgᵢᵀ with γᵢ = sᵢ gᵢ, without the examples of weight zero.
torch::Tensor empirical_fisher_matrix(const torch::Tensor& gradients, const torch::Tensor& weights);

/// The curvature cases whose outputs all have the examples as their first dimension, and no
/// negative weights.
std::vector<LossCase> losses_of_examples();

}  // namespace natgrad::testing
