#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <optional>

namespace natgrad {

/// The default damping: stay near the previous step wherever the batch says nothing, as SPRING does
/// (Goldshlager, Abrahamsen & Lin 2024, for least squares),
///
///     (C + λI) δ = -∇h + λ μₜ δ_prev,   θ ← θ + rₜ α δ.
///
/// Along directions that this batch determines, δ is the damped Newton step; along all others it
/// keeps μₜ δ_prev, so that what earlier batches knew is not forgotten.
///
/// With a fixed memory 1/(1 - μ) the batches' noise keeps θ at a distance from the minimum, the
/// larger the smaller the batch. So the memory grows with the number t of steps taken, and the
/// steps shrink with its root,
///
///     1 - μₜ = (1 - μ) / (1 + t/T),   rₜ = 1/√(1 + t/T).
///
/// A few tens of steps stay as they were, over thousands the noise is averaged away; and
/// rₜα/(1 - μₜ), how far steps that agree lead, still grows.
///
/// λ is the batch's own noise E‖g̃‖²/Σs, tr(F)/N for a mean over N examples (see gradient_noise.h),
/// as a running mean over steps. It has no unit to choose: a loss times 100 takes the same steps. A
/// fixed λ is an option. After a step that had to be taken back the running mean is ten times
/// larger, and forgets it again at its own rate.
class NATGRAD_EXPORT Proximal final : public Damping {
 public:
  /// μ of the first step, in [0, 1); 0: no memory, ever.
  TORCH_ARG(double, momentum) = 0.95;
  /// T > 0, the steps after which the memory has doubled; infinity: μₜ = μ and rₜ = 1.
  TORCH_ARG(double, memory_doubling) = 50;
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
  double centre() const override;
  double rate() const override;
  void accepted() override { ++steps_; }
  void rejected() override;
  std::vector<double> state() const override;
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  /// 1 + t/T, or 1 if there is no memory.
  double growth() const;

  int64_t steps_ = 0;
  std::optional<double> noise_;
  double largest_noise_ = 0;
};

}  // namespace natgrad
