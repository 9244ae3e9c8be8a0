#pragma once

#include "detail.h"

#include <natgrad/graph/loss_graph.h>

#include <vector>

namespace natgrad::detail {

/// K, [D·N, D·N] in double: the inner products of the rows ρ_di = Jᵢᵀ u_di of [P], with D vectors
/// at the outputs of each of N examples, given as a tensor of [D, N, ...] for every output
/// (undefined: zero). Row di of K stands at d·N + i.
///
/// K is put together layer by layer, from D + 1 backward passes for all examples at once, many by
/// vmap where passes are small. A linear layer with one row an example adds
///
///     (δ_di · δ_ej) (aᵢ · aⱼ + 1),
///
/// with its activations a and output gradients δ (1: of its bias), and no gradient is formed. Other
/// parameters of layers (of convolutions, of layers with several rows an example, tied) have the
/// rows of their own gradients formed by the layers' factors, D N numbers for each number in one
/// parameter, one parameter at a time. Parameters that no layer covers take a backward pass for
/// each row, many at once by vmap.
///
/// Products are summed in double; with parameters of float32, δ has float32's rounding. Examples
/// that the network couples cost passes, not correctness: ρ is then the gradient through all
/// inputs.
///
/// Throws `c10::Error` if dimension 0 of some output does not hold the examples.
torch::Tensor output_gram(const LossGraph& graph, const std::vector<torch::Tensor>& u);

/// What that takes with D directions, and what a J v with a Jᵀu does, in multiplications and
/// additions; from the sizes of the layers and the number of calls, each counted as what is
/// multiplied meanwhile on a CPU core. Good to a factor of two or so for networks of linear layers.
double gram_operations(const LossGraph& graph, int64_t directions);
double product_operations(const LossGraph& graph);

}  // namespace natgrad::detail
