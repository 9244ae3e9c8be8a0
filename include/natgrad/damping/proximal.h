#pragma once

#include <natgrad/damping/damping.h>
#include <torch/arg.h>

#include <optional>

namespace natgrad {

/// The default damping: stay near the previous step wherever the batch says nothing (Goldshlager,
/// Abrahamsen & Lin 2024, for least squares),
///
///     (C + λI) δ = -∇h + λ μ δ_prev.
///
/// Along directions that this batch determines, δ is the damped Newton step; along all others it
/// keeps μ δ_prev, so that what earlier batches knew is not forgotten.
///
/// λ is the batch's own noise E‖g̃‖²/Σs, tr(F)/N for a mean over N examples (see gradient_noise.h),
/// as a running mean over steps. It has no unit to choose: a loss times 100 takes the same steps. A
/// fixed λ is an option. After a step that had to be taken back the running mean is ten times
/// larger, and forgets it again at its own rate.
class Proximal final : public Damping {
 public:
  /// μ, in [0, 1).
  TORCH_ARG(double, momentum) = 0.95;
  /// Decay of the running mean of the noise, in [0, 1).
  TORCH_ARG(double, noise_decay) = 0.95;
  /// λ is never below this share of the largest noise seen so far, in [0, 1). As the last examples
  /// are fitted, F and with it the noise vanish, and nothing else would hold the steps back.
  TORCH_ARG(double, noise_floor) = 1e-5;
  /// A fixed λ ≥ 0 instead of the measured noise.
  TORCH_ARG(std::optional<double>, fixed_lambda) = std::nullopt;

 public:
  bool needs_noise() const override { return !fixed_lambda_.has_value(); }
  void observe_noise(double noise) override;
  double lambda() const override;
  double centre() const override { return momentum_; }
  void rejected() override;
  std::vector<double> state() const override;
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  std::optional<double> noise_;
  double largest_noise_ = 0;
};

}  // namespace natgrad
