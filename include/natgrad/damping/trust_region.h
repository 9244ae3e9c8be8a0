#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <optional>

namespace natgrad {

/// min M(δ) subject to ‖δ‖ ≤ Δ, with Δ led by how well the model M has foretold the loss (Nocedal &
/// Wright 2006, algorithm 4.1; Conn, Gould & Toint 2000):
///
///     ρ < ¼ or not finite: Δ ← ¼ Δ,    ρ > ¾ and ‖δ‖ = Δ: Δ ← min(2Δ, largest),
///
/// and no Δ below `least`. λ = 0: the solver has to keep to the region, as
/// `SteihaugConjugateGradient` does. ‖δ‖ is that of the solution, before any learning rate, in
/// units of the parameters. A step that led to a loss that is not finite counts as one with such a
/// ρ.
class NATGRAD_EXPORT TrustRegion final : public Damping {
 public:
  /// Δ of the first step, in [least, largest], in units of the parameters.
  TORCH_ARG(double, initial) = 1;
  /// The factor after a poor step, in (0, 1).
  TORCH_ARG(double, shrink) = 0.25;
  /// The factor after a good step to the edge, ≥ 1.
  TORCH_ARG(double, grow) = 2;
  /// Steps of ρ below it are poor, < `good`.
  TORCH_ARG(double, poor) = 0.25;
  /// Steps of ρ above it are good.
  TORCH_ARG(double, good) = 0.75;
  /// Δ is never below, > 0; there the damping is exhausted.
  TORCH_ARG(double, least) = 1e-10;
  /// Δ is never above, finite.
  TORCH_ARG(double, largest) = 1e10;

 public:
  double lambda() const override { return 0; }
  double radius() const override { return radius_.value_or(initial_); }
  bool needs_ratio() const override { return true; }
  void observe_ratio(double rho, bool at_the_edge) override;
  bool is_exhausted() const override { return radius() <= least_; }
  void rejected() override;
  /// Δ.
  std::vector<double> state() const override { return {radius()}; }
  /// A Δ outside [least, largest] is moved to the nearer end.
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  void set_radius(double radius);
  void check_options() const;

  std::optional<double> radius_;
};

}  // namespace natgrad
