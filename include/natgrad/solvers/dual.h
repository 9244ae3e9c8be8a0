#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// The sample-space solve: x = A⁻¹ b of A = c RᵀR + λI, λ > 0, with as many unknowns as R has rows
/// instead of P, by the identity of Woodbury (1950)
///
///     A⁻¹ b = (b - c Rᵀ (c RRᵀ + λI)⁻¹ R b)/λ,
///
/// for operators that know R and its Gram matrix RRᵀ (`LinearOperator::root_form`): the damped
/// Fisher and Gauss-Newton matrices of canonical losses, with one row for each output of each
/// example, and the Fisher matrices of samples and of the data's own targets, with one row for each
/// gradient.
///
/// Costs the Gram matrix of [r, r] for r rows, which is kept with the curvature; r³/6 multiply-adds
/// in double; and two products with A, one of them for the residual. Where float32 leaves more than
/// `tolerance` of ‖b‖ as residual (which is about ‖A‖/λ roundings), x is refined by the same
/// factor, x += A⁻¹(b - A x), at two products each time. `initial` and `preconditioner` do not
/// matter.
///
/// The summary counts as products also the pairs R v, Rᵀu, and as iterations the solves with the
/// factor; `IterationLimit` means that the tolerance was not met, and x is the best found.
/// `Breakdown`: A is singular to rounding, x is 0.
///
/// Throws `c10::Error` for settings out of range, mismatched sizes, more rows than the limit, and a
/// matrix without R or with λ <= 0, naming those that have one.
class NATGRAD_EXPORT Dual final : public Solver {
 public:
  /// Rows at most: 4096 takes 0.3 GB and seconds.
  TORCH_ARG(int64_t, limit) = 4096;
  /// Of the residual, relative to ‖b‖, in (0, 1).
  TORCH_ARG(double, tolerance) = 1e-4;
  /// Refinements at most, ≥ 0.
  TORCH_ARG(int64_t, refinements) = 2;

 public:
  bool takes_damping_matrix() const override { return false; }
  Solution solve(const LinearSystem& system) const override;
  /// By the factor of RRᵀ + σI, without a division by σ; `tolerance` and `refinements` do not
  /// matter. Residual and right-hand side in the summary are those of the rows' system, of [r], and
  /// `quadratic` is φ(x) - φ(x₀).
  Solution solve_by_rows(const LeastSquares& problem) const override;
  bool solves_by_rows(const Root& root) const override { return root.rows <= limit_; }
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

/// Whether the matrix is c RᵀR + λI with c > 0, λ > 0 and a known R, so that `Dual` can solve with
/// it.
NATGRAD_EXPORT bool has_dual(const LinearOperator& matrix);

}  // namespace natgrad
