#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// How one number of each sample, z of [N], varies with θ over the samples:
///
///     C = (1/N) Σ (Oᵢ - Ō)(Oᵢ - Ō)ᵀ = RᵀR,   Oᵢ = ∂zᵢ/∂θ,   R = (O - Ō)/√N of [N, P].
///
/// For models whose distribution is known up to its normalisation and that are trained on samples
/// of their own: with z = log p̃(x), x from p = p̃/Z, C is the Fisher matrix of p. With z = log|ψ|,
/// x from |ψ|², it is S of variational Monte Carlo, a quarter of that (stochastic reconfiguration,
/// Sorella 1998). Name z by `outputs`; an objective whose gradient is that of the mean energy is
///
/// ```cpp
/// natgrad::NaturalGradient optimizer(log_amplitude->parameters(), natgrad::presets::spring());
/// const auto log_psi = natgrad::outputs(log_amplitude->forward(x));
/// optimizer.step(2 * ((energies - energies.mean()) * log_psi).mean());
/// ```
///
/// In an objective with centred weights as these, Σ ∂h/∂zᵢ = 0 to rounding, ∇h = -Rᵀt with
/// t = -√N ∂h/∂z, and no pass is made for it. The batch is one piece: chunks would each be centred
/// on their own.
///
/// For one backward pass where linear layers and convolutions hold the parameters, and N P numbers;
/// of other parameters as `FisherRows`. Throws `c10::Error` unless the loss has one output of one
/// number a sample, and for more than 2^27 numbers.
class NATGRAD_EXPORT CentredRows final : public Curvature {
 public:
  /// With vᵀCv/N, v of random signs, as the noise.
  CurvatureAt at(const LossGraph& graph) const override;
  bool tells_gradient() const override { return true; }
  std::string describe() const override { return "CentredRows()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
