#pragma once

#include <natgrad/export.h>
#include <natgrad/graph/loss_graph.h>

#include <vector>

namespace natgrad {

/// The change of the outputs that would be best for each example by itself,
///
///     b = F_R⁻ ∇_z log r(y|z),
///
/// the natural gradient in the space of outputs: one tensor for each of `graph.terms()`, shaped
/// like its z, in z's units, zero where the weight is zero. With C = F the quadratic model is the
/// distance to it (Martens, "New perspectives", section 11),
///
///     M(δ) = Σ sᵢ ½‖Jᵢδ - bᵢ‖²_{F_R} + c,   c = h + `bound(graph)`.
///
/// There a plus is printed; since ∇h = -Σ sᵢ Jᵢᵀ∇_z log r a minus is meant. F_R⁻ is an inverse on
/// the range of F_R, which is all that is needed where F_R is singular: for softmax b is y/p, up to
/// a number added to all logits, and the distance is the same for all of them.
///
/// Of an objective of the user's own with named outputs, -∂h/∂z/s with s = 1/N stands for the
/// score. No pass through the network. Throws `c10::Error` if the distribution of some outputs is
/// not known, and `c10::NotImplementedError` for a family that does not say how to solve with F_R.
NATGRAD_EXPORT std::vector<torch::Tensor> best_outputs(const LossGraph& graph);

/// The bound on what any δ can gain by the quadratic model,
///
///     M(δ) - h ≥ -½ Σ sᵢ gᵢᵀF_R⁻gᵢ,   g = ∇_z log r(y|z)
///
/// (Martens, "New perspectives", section 11, where "M(θ) - h(θ)" is printed for it): what would be
/// gained if each example's outputs could be moved independently. It holds with C = F, and with
/// curvatures whose q qᵀ stands for F_R (`ScoreRows`), where ∇h and C come from the same examples;
/// with different ones nothing bounds M (`mixed_batches`). For softmax and a label y the summand is
/// (1 - p_y)/p_y, for Gaussians ‖y - z‖²/σ².
///
/// Penalties and weight decay are no part of it. No pass through the network. Throws as
/// `best_outputs` does, and `c10::ValueError` where weights of the loss are negative: M has no
/// lower bound then.
NATGRAD_EXPORT double bound(const LossGraph& graph);

}  // namespace natgrad
