#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// Damped least squares min ½‖t - R x‖² + ½σ‖d∘(x - x₀)‖² by orthogonal factors (Golub 1965; Moré
/// 1978),
///
///     [R, t - R x₀] = Q [U, q],   [U D⁻¹; √σ I] y = [q; 0] likewise,   x = x₀ + D⁻¹y,
///
/// in double. RᵀR is not formed, whose condition is the square of R's: of the digits of a
/// nonlinear regression it would cost half.
///
/// Costs 2rP² and 2P³ operations for r rows, and R itself, 8 r P bytes; the factors of R are kept
/// with it, so that another σ, d or t costs P³. Systems that do not come as rows (with penalties,
/// or a curvature that knows no explicit R) are solved by `Cholesky`; those of more than twice as
/// many parameters as rows, without d, by the Gram matrix of the rows.
///
/// Throws `c10::Error` for a limit below 1 and for more parameters than the limit.
class NATGRAD_EXPORT QR final : public Solver {
 public:
  /// P at most: 4096 takes 0.5 GB and some ten seconds a step.
  TORCH_ARG(int64_t, limit) = 4096;

 public:
  Solution solve(const LinearSystem& system) const override;
  Solution solve_by_rows(const LeastSquares& problem) const override;
  bool solves_by_rows(const Root& root) const override { return root.matrix != nullptr; }
  bool takes_scales() const override { return true; }
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
