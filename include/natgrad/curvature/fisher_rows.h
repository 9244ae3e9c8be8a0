#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/export.h>

namespace natgrad {

/// The Fisher matrix by its rows, formed number by number,
///
///     C = Σ s Jᵀ F_R J = RᵀR,  R = √s BᵀJ,  F_R = B Bᵀ,  ∇h = -Rᵀt,  t = √s BᵀF_R⁻g,
///
/// with g = ∇_z log r(y|z): of squared errors R is the Jacobian of the residuals, [r, P], and C the
/// Gauss-Newton matrix. Terms may have numbers of examples of their own, as the points inside and
/// on the boundary of a physics-informed loss have.
///
/// For one backward pass an output number of an example (one in all for a scalar) plus the
/// arithmetic of the layers' gradients, where linear layers and convolutions hold the parameters,
/// also where the loss takes derivatives of the network by its inputs; of other parameters P
/// products J v, or one backward pass a row, whichever are fewer, many at once by vmap. r·P
/// numbers.
///
/// Throws `c10::Error` for a loss without a likelihood, negative weights, and more than 2^27
/// numbers.
NATGRAD_EXPORT LinearOperator fisher_rows(const LossGraph& graph);

/// `fisher_rows` as an option of the optimizer, for solvers that need R (`QR`) or much of it.
class NATGRAD_EXPORT FisherRows final : public Curvature {
 public:
  /// With vᵀCv/N, v of random signs, as the noise.
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  torch::Tensor residuals(const LossGraph& graph) const override;
  std::string describe() const override { return "FisherRows()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
