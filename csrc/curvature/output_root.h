#pragma once

#include <natgrad/graph/loss_graph.h>
#include "detail.h"

#include <natgrad/curvature/fisher.h>

#include <functional>
#include <optional>
#include <vector>

namespace natgrad::detail {

/// R = Uᵀ J, [D·N, P]: D vectors u_di at the outputs of each of N examples, pulled back to the
/// parameters. `u` answers a tensor of [D, N, ...] for every output (undefined: zero); it is asked
/// when the root first is, and the Gram matrix is kept.
Root output_root(const LossGraph& graph, int64_t directions, int64_t examples,
                 std::function<std::vector<torch::Tensor>()> u);

/// √s of a term. Throws where a weight is negative: its share of F has no root.
torch::Tensor roots_of_weights(const LossTerm& term, FisherWeights weights);

/// R = √s Bᵀ J with F_R = B Bᵀ: the Fisher matrix is RᵀR. None where weights are negative, or where
/// the outputs' dimension 0 does not hold the examples. Takes graphs that have a Fisher matrix.
std::optional<Root> fisher_root(const LossGraph& graph, FisherWeights weights);

/// The same operator with that root, if there is one.
LinearOperator with_root_if_any(const LinearOperator& C, std::optional<Root> root);

}  // namespace natgrad::detail
