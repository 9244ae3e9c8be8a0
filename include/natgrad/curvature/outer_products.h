#pragma once

#include <natgrad/graph/loss_graph.h>
#include <natgrad/linalg/linear_operator.h>

#include <string>
#include <vector>

namespace natgrad {

/// Vectors γᵢ = Jᵢᵀ uᵢ of [P], one for each example i: the rows of the graph's outputs that belong
/// to the example, pulled back; and what γᵢ γᵢᵀ weighs.
struct ExampleVectors {
  std::vector<torch::Tensor> u;  ///< shaped like the outputs; undefined where zero
  torch::Tensor weights;         ///< [N]
};

/// Σ wᵢ γᵢ γᵢᵀ over the examples of all `sets`, without ever forming a γ: with one J v and one Jᵀ,
///
///     v ↦ Jᵀ (wᵢ (uᵢ·(J v)ᵢ) uᵢ)ᵢ.
///
/// Throws `c10::Error` if the outputs of a set differ in their number of examples.
LinearOperator sum_of_outer_products(const LossGraph& graph, std::string name,
                                     std::vector<ExampleVectors> sets);

/// The dimension of the graph's output that counts the examples.
int64_t example_dim(const LossGraph& graph, size_t output);

}  // namespace natgrad
