#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// One row an example, along its own gradient: for a loss whose outputs' distribution is not known.
/// With gᵢ = ∂h/∂zᵢ, what example i's outputs add to ∇h = Σ Jᵢᵀgᵢ,
///
///     C = Σ κᵢ Jᵢᵀ (gᵢgᵢᵀ/‖gᵢ‖²) Jᵢ = RᵀR,  ∇h = -Rᵀt,  tᵢ = -‖gᵢ‖/√κᵢ,
///     κᵢ = max(gᵢᵀ(∇²_z h) g |ᵢ/‖gᵢ‖², ‖gᵢ‖² w),
///
/// the loss's curvature along gᵢ, but at least that of a square: h = Σ ½ρᵢ² has the Gauss-Newton
/// matrix Σ ∇ρᵢ∇ρᵢᵀ = Σ gᵢgᵢᵀ/(2hᵢ), here with the mean h/N for hᵢ, w = N/(2h), so that every
/// gradient has a curvature (a hinge has none of its own), and a factor on h changes no step. Where
/// the ops do not show that h ≥ 0, as of a log-density, w = N: then C is at least the empirical
/// Fisher matrix of the mean of log-likelihoods.
///
/// Takes any loss that has outputs: marked, read, or found (`Unread::Substitute`), also if the
/// examples are coupled (batch normalisation, a contrastive loss): a row is then what the gradient
/// at one example's rows of the layers adds. Costs a backward pass, and one and a half through the
/// loss alone for its curvature, which is left out where an op cannot be differentiated twice.
/// Parameters outside of linear, convolutional and normalising layers take a backward pass for each
/// example; where rows would be more than 2²⁵ numbers, or outputs differ in their number of
/// examples, C is given by products, a J v and a Jᵀu each.
///
/// Throws `c10::Error` if the loss cannot be read and no outputs are found.
class NATGRAD_EXPORT GradientRows final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "GradientRows()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

/// Whether the loss is convex in z as far as this batch shows: gᵢᵀ(∇²_z h)g |ᵢ > 0 at every example
/// that has a gradient, and vᵢᵀ(∇²_z h)v |ᵢ ≥ 0 for three random v. (Along g alone a mixture's or a
/// triplet's loss may be convex by chance, and one step by its indefinite Hessian undoes many.)
/// Four products with the Hessian in z at most.
NATGRAD_EXPORT bool is_convex_along_gradient(const LossGraph& graph);

}  // namespace natgrad
