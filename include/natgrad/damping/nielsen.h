#pragma once

#include <natgrad/damping/damping.h>
#include <natgrad/export.h>
#include <torch/arg.h>

#include <cstdint>
#include <optional>

namespace natgrad {

/// (C + λD) δ = -∇h for least squares: D in Moré's form (1978), λ by Nielsen's rule (1999),
///
///     D = diag(d²),  d_j = max over the steps so far of √C_jj, the length of R's column j,
///     ρ > 0:  λ ← λ max(1/3, 1 - (2ρ - 1)³), ν ← 2;    else:  λ ← ν λ, ν ← 2ν,
///
/// and no λ outside [least, largest]. With this D a step is the same whatever the units of each
/// parameter are, and λ is a number without a unit. A λ that changes by no jumps lets the steps
/// become Gauss-Newton's where the model holds, so that they converge quadratically where residuals
/// vanish.
///
/// Where a parameter's column is zero d_j is 1. Takes the diagonal of C: one reading of R where it
/// is formed (`FisherRows`), else P products. Every step costs a trial loss.
class NATGRAD_EXPORT Nielsen final : public Damping {
 public:
  /// λ of the first step, in [least, largest].
  TORCH_ARG(double, initial) = 1e-3;
  /// λ is never below, > 0.
  TORCH_ARG(double, least) = 1e-16;
  /// λ is never above, finite; there the damping is exhausted.
  TORCH_ARG(double, largest) = 1e16;

 public:
  double lambda() const override { return lambda_.value_or(initial_); }
  bool needs_ratio() const override { return true; }
  void observe_ratio(double rho, bool at_the_edge) override;
  bool needs_diagonal() const override { return true; }
  void observe_diagonal(const torch::Tensor& diagonal) override;
  torch::Tensor diagonal() const override { return diagonal_; }
  bool is_exhausted() const override { return lambda() >= largest_; }
  void rejected() override;
  /// λ, ν and D's numbers.
  std::vector<double> state() const override;
  void set_state(const std::vector<double>& state) override;
  std::string describe() const override;
  std::unique_ptr<Damping> clone() const override;

 private:
  void set_lambda(double lambda);
  void check_options() const;

  std::optional<double> lambda_;
  double growth_ = 2;  ///< ν
  torch::Tensor diagonal_;
};

}  // namespace natgrad
