#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/solvers/dual.h>

namespace natgrad {

/// The optimizer's default: the exact solution by `Dual` where that is estimated to be cheaper than
/// the iterations that conjugate gradients make, else conjugate gradients.
///
/// With r rows of R and P parameters, in multiplications and additions,
///
///     dual:  Gram matrix + r³/6 + 30 r² + 2 products + 120 P,
///     conjugate gradients:  0.6 max_iterations · (1 product + 20 P),
///
/// where the curvature estimates its Gram matrix and products by the sizes of the layers and the
/// number of calls (`RootCosts`). On one CPU core the constants stand for the measured time. Where
/// the dual breaks down the iterations are tried too, and the x of the lower φ is taken.
class NATGRAD_EXPORT DualOrConjugateGradient final : public Solver {
 public:
  /// Rows of R above which the iterations are taken whatever they cost: the Gram matrix needs 24 r²
  /// bytes.
  TORCH_ARG(int64_t, limit) = 2048;

 public:
  /// What is done where the dual is not; by default 10 iterations at most to a tolerance of 1e-2,
  /// and by rows at least 100, to 1e-4 or tighter.
  DualOrConjugateGradient& iterative(ConjugateGradient solver);
  /// What was chosen.
  const ConjugateGradient& iterative() const { return iterative_; }

  /// Whether this system is solved by `Dual`. A walk over the graph.
  bool takes_dual(const LinearOperator& matrix) const;

  bool uses_initial() const override { return iterative_.uses_initial(); }
  bool uses_preconditioner() const override { return iterative_.uses_preconditioner(); }
  Solution solve(const LinearSystem& system) const override;
  /// By the Gram matrix, with up to `limit` rows, where RRᵀ + r³/6 + 30 r² costs no more than 15
  /// products; else, or where that fails, by conjugate gradients on RRᵀ + σI, to a tolerance of
  /// 1e-4 at most and with 100 iterations at least.
  Solution solve_by_rows(const LeastSquares& problem) const override;
  bool solves_by_rows(const Root&) const override { return true; }
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;

 private:
  ConjugateGradient iterative_ = ConjugateGradient().max_iterations(10).tolerance(1e-2);
};

}  // namespace natgrad
