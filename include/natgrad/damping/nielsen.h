#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>

namespace natgrad {

/// (C + λD) δ = -∇h for least squares: D in Moré's form (1978), λ by Nielsen's rule (1999),
///
///     D = diag(d²),  d_j = min(max over the steps so far of ‖R_j‖, `cap`·‖R_j‖),  ‖R_j‖² = C_jj,
///     ρ > 0:  the step is taken, λ ← λ max(1/3, 1 - (2ρ - 1)³), ν ← 2;
///     else:   λ ← ν λ, ν ← 2ν, and it is tried again.
///
/// With this D a step is the same whatever the units of each parameter are, and λ is a number
/// without a unit. The cap lets go of a parameter that once had a long column and no longer has:
/// without it one that starts far off (NIST's MGH10) is held there for thousands of steps.
///
/// A step is tried up to `tries` times with the same R, whose factors are kept: only the trial loss
/// is new. With other parameters than in the step before (frozen ones, a new group) D starts anew.
/// Where a parameter's column is zero d_j is 1. Takes the diagonal of C: one reading of R
/// where it is formed (`FisherRows`), else P products.
class NATGRAD_EXPORT Nielsen final : public Damping {
 public:
  /// λ of the first step, in [least, largest].
  TORCH_ARG(double, initial) = 1e-2;
  /// ≥ 1.
  TORCH_ARG(double, cap) = 1e4;
  /// How often a step is tried, ≥ 1.
  TORCH_ARG(int64_t, tries) = 60;
  /// λ is never below, > 0.
  TORCH_ARG(double, least) = 1e-30;
  /// λ is never above, finite; there the damping is exhausted.
  TORCH_ARG(double, largest) = 1e30;

 public:
  double lambda() const override { return lambda_.value_or(initial_); }
  bool needs_ratio() const override { return true; }
  int64_t tries_per_step() const override { return tries_; }
  void observe_ratio(double rho, bool at_the_edge) override;
  bool needs_diagonal() const override { return true; }
  void observe_diagonal(const torch::Tensor& diagonal, bool goes_on) override;
  torch::Tensor diagonal() const override { return diagonal_; }
  bool is_exhausted() const override { return lambda() >= largest_; }
  void rejected() override;
  /// λ, ν and the squares of the longest columns.
  std::vector<double> state() const override;
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  void set_lambda(double lambda);
  void check_options() const;

  static constexpr double kFirstGrowth = 2;

  std::optional<double> lambda_;
  double growth_ = kFirstGrowth;  ///< ν
  torch::Tensor longest_;         ///< max ‖R_j‖², [P]
  torch::Tensor diagonal_;
};

}  // namespace natgrad
