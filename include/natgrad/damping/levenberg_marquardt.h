#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>

namespace natgrad {

/// (C + λI) δ = -∇h, with λ led by how well the model M has foretold the loss (Levenberg 1944,
/// Marquardt 1963; with these constants Martens 2010, section 4.1):
///
///     ρ > ¾: λ ← ⅔ λ,    ρ < ¼ or not finite: λ ← ³⁄₂ λ,
///
/// and no λ outside [least, largest]. A step that led to a loss that is not finite counts as one
/// with such a ρ.
///
/// Every ρ costs a trial loss. K-FAC judges each 5th step alone and makes up for it by larger
/// factors (Martens & Grosse 2015, section 6.5); the factors here are what λ is multiplied by,
/// whatever the interval:
///
/// ```cpp
/// const auto damping = natgrad::LevenbergMarquardt()
///                          .initial(150)
///                          .interval(5)
///                          .lower(std::pow(19. / 20, 5))
///                          .raise(std::pow(20. / 19, 5));
/// ```
class NATGRAD_EXPORT LevenbergMarquardt final : public Damping {
 public:
  /// λ of the first step, in [least, largest], in units of the curvature.
  TORCH_ARG(double, initial) = 1;
  /// The factor after a poor step, > 1.
  TORCH_ARG(double, raise) = 1.5;
  /// The factor after a good step, in (0, 1].
  TORCH_ARG(double, lower) = 2. / 3;
  /// Steps of ρ below it are poor, < `good`.
  TORCH_ARG(double, poor) = 0.25;
  /// Steps of ρ above it are good.
  TORCH_ARG(double, good) = 0.75;
  /// Every how many steps ρ is asked for, ≥ 1.
  TORCH_ARG(int64_t, interval) = 1;
  /// λ is never below, > 0. Near a minimum every step is good, and λ would fall until C + λI is
  /// singular to rounding.
  TORCH_ARG(double, least) = 1e-10;
  /// λ is never above, finite; there the damping is exhausted.
  TORCH_ARG(double, largest) = 1e10;
  /// Whether a step is judged on the next batch too. If it has raised the loss there λ is `raise`
  /// times that of the step, and by much, the step is taken back. ρ alone, on the batch of the
  /// step, is the better the closer the step fits that batch, and leads λ to nothing where batches
  /// are small.
  TORCH_ARG(bool, hindsight) = false;

 public:
  double lambda() const override { return lambda_.value_or(initial_); }
  /// True at every `interval`-th step.
  bool needs_ratio() const override { return (steps_ + 1) % interval_ == 0; }
  void observe_ratio(double rho, bool at_the_edge) override;
  bool is_exhausted() const override { return lambda() >= largest_; }
  bool needs_hindsight() const override { return hindsight_; }
  void accepted() override;
  void rejected() override;
  /// λ and the steps taken; with hindsight the λ of the last step too.
  std::vector<double> state() const override;
  /// A λ outside [least, largest] is moved to the nearer end.
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  void set_lambda(double lambda);
  void check_options() const;

  std::optional<double> lambda_;
  int64_t steps_ = 0;
  std::optional<double> judged_;     ///< the λ that the latest ρ has changed
  std::optional<double> last_step_;  ///< the λ of the last step taken
};

}  // namespace natgrad
