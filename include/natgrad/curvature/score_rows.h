#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The Fisher matrix with each observation's F_R replaced by its rank-one part along the natural
/// gradient in output space (Korbit & Zanon 2026, "Fast Gauss-Newton", for softmax; here for any
/// family that knows its `Likelihood::score_factor`),
///
///     C = Σ sᵢ Jᵢᵀ Qᵢ Jᵢ = RᵀR,  Q = g gᵀ/(gᵀF_R⁻g),  g = ∇_z log r(y|z),  0 ≼ Q ≼ F_R,
///
/// so that R has one row an observation, its own gradient, scaled, and ∇h = -Rᵀt with
/// tᵢ = √(sᵢ gᵢᵀF_R⁻gᵢ). Up to four observations an example, of one output each or of a term each,
/// have a row each. Where weights are negative, or the objective is no likelihood, s is 1/N. Where
/// one output makes an observation (Bernoulli, Poisson, a scalar Gaussian, the location families),
/// and for two classes, it is the Fisher matrix itself. Unlike the empirical Fisher matrix, whose
/// rows are not scaled, it keeps the natural gradient of every single example: Q d = F_R d for d =
/// F_R⁻g.
///
/// One backward pass gives R, from the layers' inputs and output gradients (Goodfellow 2015);
/// products, RRᵀ and the noise tr(RRᵀ)/N are then matrix products without autograd.
///
/// Throws `c10::Error`, naming what does not fit: more observations an example (the pixels of an
/// autoencoder), terms of unequal numbers of examples, a loss of the user's own; and as
/// `per_example_gradients` does.
NATGRAD_EXPORT LinearOperator score_rows(const LossGraph& graph);

/// `score_rows` as an option of the optimizer.
class NATGRAD_EXPORT ScoreRows final : public Curvature {
 public:
  /// The noise is tr(RRᵀ)/N, Σ sᵢ‖Rᵢ‖²/Σ sᵢ, and takes no further pass.
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "ScoreRows()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
