#pragma once

// The library's matrices, dense, which the sections hold to oracles.h; and what both may differ by.

#include <natgrad/graph/loss_graph.h>
#include <torch/types.h>

#include "theory/problems.h"

namespace examples::theory {

constexpr double kRounding = 1e-10;
constexpr const char* kRoundingWords = "sums of products in double";

torch::Tensor fisher_of(const natgrad::LossGraph& graph);
torch::Tensor gauss_newton_of(const natgrad::LossGraph& graph);
torch::Tensor hessian_of_graph(const natgrad::LossGraph& graph);

/// ∇L of each example, [N, P], an example at a time, by plain autograd.
torch::Tensor gradients_one_by_one(const Classifier& problem);

}  // namespace examples::theory
