#pragma once

#include <natgrad/export.h>
#include <natgrad/tensor.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace natgrad {

/// How the quadratic model is kept where it can be trusted. A damping is told outcomes and answers
/// numbers; it never sees the network. The optimizer solves
///
///     (C + λD) δ = -∇h + λ μ D δ_prev,  ‖δ‖ ≤ Δ,   θ ← θ + r α δ,
///
/// with λ = `lambda()`, μ = `centre()`, Δ = `radius()` and r = `rate()`: δ is the minimiser of
/// M(δ) + ½λ‖δ - μ δ_prev‖²_D in the region. D is the identity unless the optimizer is given
/// another (`NaturalGradientOptions::damping_matrix`).
class NATGRAD_EXPORT Damping {
 public:
  virtual ~Damping() = default;

  /// Whether `lambda` follows from the batch's gradient noise, which then has to be measured.
  virtual bool needs_noise() const { return false; }
  /// The noise measured on this step's batch; called before `lambda` if `needs_noise`.
  virtual void observe_noise(double /*noise*/) {}
  /// λ of this step, ≥ 0, in units of the curvature.
  virtual double lambda() const = 0;
  /// The share of the previous step at which the model is centred, in [0, 1).
  virtual double centre() const { return 0; }
  /// The share of the learning rate α that this step takes, in (0, 1].
  virtual double rate() const { return 1; }
  /// Δ, > 0: how long δ may be.
  virtual double radius() const { return std::numeric_limits<double>::infinity(); }
  /// Whether D is the damping's own, made of the curvature's diagonal, which then has to be formed.
  virtual bool needs_diagonal() const { return false; }
  /// diag C of this step, [P]; called before `lambda` if `needs_diagonal`. `goes_on`: whether the
  /// parameters are those of the last step.
  virtual void observe_diagonal(const torch::Tensor& /*diagonal*/, bool /*goes_on*/) {}
  /// The diagonal of that D, [P], > 0; undefined for the optimizer's D.
  virtual torch::Tensor diagonal() const { return {}; }
  /// Whether this step's reduction ratio is wanted,
  ///
  ///     ρ = (h(θ + δ) - h(θ)) / (M(δ) - M(0)),
  ///
  /// with M without the damping: how much of what the model promised has come true. It costs a
  /// trial loss.
  virtual bool needs_ratio() const { return false; }
  /// ρ of this step; NaN or infinite if the trial loss was not finite. `at_the_edge`: ‖δ‖ = Δ.
  virtual void observe_ratio(double /*rho*/, bool /*at_the_edge*/) {}
  /// How often a step is tried with this batch's h, ∇h and C, each time after another ρ was
  /// observed, before it counts as rejected. More than 1 pays where C is dear and trials are not.
  virtual int64_t tries_per_step() const { return 1; }
  /// Whether the damping is as strong as it can be, so that a step that fails is not tried again
  /// with more.
  virtual bool is_exhausted() const { return false; }
  /// Whether the last step is to be judged once more, on this step's batch: where it has raised the
  /// loss there it counts as `rejected`, and by more than half of what it gained on its own batch
  /// it is taken back. It costs a trial loss.
  virtual bool needs_hindsight() const { return false; }
  /// The step was taken; called after it, so that all of the above is of that step.
  virtual void accepted() {}
  /// The last step led to a loss that is not finite, or was judged badly with hindsight.
  virtual void rejected() {}

  /// What the damping has learnt from the steps so far, to continue from later.
  virtual std::vector<double> state() const { return {}; }
  /// Takes up a state that `state` gave. Throws `c10::Error` if it is another damping's.
  virtual void set_state(const std::vector<double>& state);

  /// Name and settings; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, state included.
  virtual std::unique_ptr<Damping> clone() const = 0;
};

}  // namespace natgrad
