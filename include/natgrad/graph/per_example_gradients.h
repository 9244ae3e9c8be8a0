#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <vector>

namespace natgrad {

class LossGraph;

/// γ, [N, P]: row i is γᵢ = Jᵢᵀ ∂h/∂zᵢ, the share of example i in ∇h, normalised as the loss (∇Lᵢ/N
/// for a mean), with the parameters as in `graph.parameters()`. Penalties belong to no example:
/// Σᵢ γᵢ = ∇h less their gradient. Examples lie in dimension 0 of every output.
///
/// For parameters of linear and convolutional layers γᵢ = Σ δ aᵀ over the example's
/// rows, with the activations a and output gradients δ of the whole batch (Goodfellow 2015,
/// "Efficient per-example gradient computations"). That costs two backward passes: the second
/// scales each example's share by a number of its own, and so tells whose each row is. All other
/// parameters take a backward pass for each example, many at once by vmap where passes are small.
/// [N, P] numbers are kept.
///
/// Where layers account for all parameters any loss will do; its examples are then what dimension 0
/// of the layers' outputs holds. Throws `c10::Error` if they do not and the loss cannot be read, if
/// an output has no examples in dimension 0, or if examples are coupled by batch normalisation in
/// training mode: no gradient is then one example's. If the network couples them otherwise, γᵢ is
/// the gradient of example i's loss through the inputs of all.
NATGRAD_EXPORT torch::Tensor per_example_gradients(const LossGraph& graph);

/// By parameter: whether layers account for it, so that it costs no pass for each example. Throws
/// as `per_example_gradients` does.
NATGRAD_EXPORT std::vector<bool> captured_parameters(const LossGraph& graph);

}  // namespace natgrad
