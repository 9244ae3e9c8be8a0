#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

#include <optional>

namespace natgrad {

/// The Fisher matrix of one tanh unit with Gaussian inputs, and its inverse, in closed form (Amari
/// 1998): for
///
///     y = tanh(wᵀx [+ b]) + noise,  noise ~ N(0, σ²),  x ~ N(0, I),
///
/// with u = w/‖w‖ and the moments m_k = E[sech⁴(‖w‖e + b) e^k], e ~ N(0, 1),
///
///     F   = (1/σ²) [m₀ (I - uuᵀ) + m₂ uuᵀ],
///     F⁻¹ =  σ²    [(I - uuᵀ)/m₀ + uuᵀ/m₂]
///
/// in w, and in (w, b), b last,
///
///     F = (1/σ²) [[m₀ (I - uuᵀ) + m₂ uuᵀ, m₁ u], [m₁ uᵀ, m₀]].
///
/// c₁ = m₀ and c₂ = m₂ are the paper's, for b = 0: 1 at w = 0, where no u is needed, and for large
/// ‖w‖ (4/3)/(√2π ‖w‖) and (π²/9 - 2/3)/(√2π ‖w‖³).
///
/// The paper's unit is tanh(wᵀx/2), half of these weights: its Fisher matrix is
/// `0.25 * TanhUnit(w / 2, σ).fisher()`.
class NATGRAD_EXPORT TanhUnit {
 public:
  /// The moments of e under the density sech⁴(‖w‖e + b) N(e) / m₀: m₁ = m₀ mean and
  /// m₂ = m₀ (variance + mean²).
  struct Moments {
    double mass;      ///< m₀
    double mean;      ///< of e
    double variance;  ///< of e
  };

  /// `weights`: w, [n]; `noise`: σ, in units of y. Without a bias it is no parameter, and zero.
  /// Throws for values that are not finite and σ ≤ 0. Costs a quadrature.
  TanhUnit(torch::Tensor weights, double noise, std::optional<double> bias = std::nullopt);

  /// At these weights and this bias.
  const Moments& moments() const { return moments_; }
  /// F, of [n], or [n + 1] with a bias. A product costs O(n).
  LinearOperator fisher() const;
  /// F⁻¹. Throws where F underflows: a unit saturated for all inputs, |b| > 177 at small w.
  LinearOperator inverse() const;

 private:
  LinearOperator along_and_across(const std::string& name, double across,
                                  const torch::Tensor& along) const;

  torch::Tensor direction_;  // u, or zero
  double noise_;
  bool has_bias_;
  Moments moments_;
};

}  // namespace natgrad
