#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// x = A⁻¹ b by the factor A = L Lᵀ of the explicit matrix, for few parameters.
///
/// A is formed from its products with the columns of the identity, 256 at a time, and factored in
/// double whatever its dtype. Costs P products, which share their calls (`Columns`), P³/3
/// operations, and 16 P² bytes or somewhat more. Neither `initial` nor `preconditioner` matters to
/// a direct solve.
///
/// `NegativeCurvature` means that a pivot was not positive, `Breakdown` that A is singular to
/// rounding (no x was found with ‖b - A x‖ ≤ 1e-6 ‖b‖); x is 0 then. The summary's residual is
/// that of the x returned, in its own dtype.
///
/// Of a known R the matrix is RᵀR + σI, formed at once in rP² operations, in float32 where R is and
/// the condition allows; with more parameters than rows the Gram matrix of the rows takes its
/// place, as in `Dual`.
///
/// Throws `c10::Error` for a limit below 1, a matrix larger than the limit, mismatched sizes.
class NATGRAD_EXPORT Cholesky final : public Solver {
 public:
  /// P at most: 4096 takes 0.3 GB and seconds.
  TORCH_ARG(int64_t, limit) = 4096;

 public:
  Solution solve(const LinearSystem& system) const override;
  Solution solve_by_rows(const LeastSquares& problem) const override;
  bool solves_by_rows(const Root& root) const override;
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
