#pragma once

#include <natgrad/graph/loss_graph.h>

namespace natgrad {

/// One draw of how far the batch's gradient would move if its targets were drawn again,
///
///     ‖g̃‖² / Σs,  g̃ = Σ sᵢ Jᵢᵀ B rᵢ,
///
/// with B Bᵀ = F_R, r of random signs and s the examples' weights (an example's weight is the mean
/// over its observations). Its expectation is tr(F)/N for a mean over N
/// examples, and scales as the loss does. Costs one backward pass; a 0-d tensor on the device.
///
/// If any term has no likelihood (`natgrad::outputs`), it is vᵀGv/N of the whole loss instead, with
/// v of random signs: the same expectation for equal weights, at the cost of one product.
torch::Tensor gradient_noise(const LossGraph& graph, at::Generator generator);

}  // namespace natgrad
