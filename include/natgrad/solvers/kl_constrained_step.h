#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

namespace natgrad {

/// The step of steepest descent among those that move the model's distribution by c,
///
///     δ = -√(2c / gᵀF⁻¹g) F⁻¹g = argmin gᵀδ subject to ½ δᵀFδ = c,
///
/// the limit c → 0 of the steps that lower h most within a divergence of c (Arnold, Auger, Hansen &
/// Ollivier 2011), given natural_direction = F⁻¹g and the gradient g, both [P]; c is KL(p(θ + δ) ‖
/// p(θ)) in nats to O(c^{3/2}), an example of the loss's average if F is. (Note on natural
/// gradients, where the update is printed without the ∇ of h; Martens, section 6.)
///
/// g = 0, F⁻¹g = 0 or c = 0 give δ = 0. No over- or underflow whatever the sizes of g and F⁻¹g. A
/// truncated solve n ≈ F⁻¹g keeps ½ δᵀFδ = c only as far as nᵀFn = gᵀn, as conjugate gradients do
/// from x₀ = 0.
///
/// Throws `c10::Error` for c < 0, mismatched vectors, numbers that are not finite, and gᵀF⁻¹g < 0.
NATGRAD_EXPORT torch::Tensor kl_constrained_step(const torch::Tensor& natural_direction,
                                                 const torch::Tensor& gradient, double c);

}  // namespace natgrad
