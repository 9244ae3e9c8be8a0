#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// Preconditioned conjugate gradients (Hestenes & Stiefel 1952) for symmetric positive definite A:
///
///     α = rᵀz / pᵀAp,  x += α p,  r -= α A p,  z = M r,  p ← z + (r'ᵀz' / rᵀz) p,
///
/// which minimises φ(x) = ½ xᵀAx - bᵀx over a growing Krylov subspace. It stops by the first of
///  - the residual rule ‖b - A x‖ ≤ tolerance·‖b‖; the residual is recomputed before the summary
///  says
///    Converged, and if the recurrence had drifted away from it, the iteration restarts from there;
///  - Martens' relative-progress rule (Martens 2010, section 4.4; off unless `relative_progress` >
///  0):
///    φᵢ < 0 and (φᵢ - φᵢ₋ₖ)/φᵢ < kε with k = max(10, i/10);
///  - `max_iterations`; curvature that is negative, or zero to rounding; a number that is not
///  finite.
/// In each case x is the last sound iterate. If it has not converged and a poor start has left it
/// worse than x = 0, φ(x) > 0, it is its own best multiple instead.
///
/// Cost: one product with A an iteration, one for x₀ ≠ 0, one to confirm convergence. The
/// recurrence updates its vectors of [P] in place; only the products are new. The right-hand side
/// is scaled first, so its size does not matter. On the CPU the scalars are read as they come;
/// elsewhere they stay on the device and are read every `check_interval` iterations, with the same
/// result.
///
/// Throws `c10::Error` for settings out of range, mismatched sizes, and a preconditioner that is
/// not positive definite.
class NATGRAD_EXPORT ConjugateGradient final : public Solver {
 public:
  /// Iterations at most, ≥ 1.
  TORCH_ARG(int64_t, max_iterations) = 100;
  /// Of the residual rule, relative to ‖b‖, in [0, 1); 0 turns the rule off.
  TORCH_ARG(double, tolerance) = 1e-6;
  /// ε of the relative-progress rule; Martens takes 5e-4; 0 turns the rule off.
  TORCH_ARG(double, relative_progress) = 0;
  /// Iterations between two looks at the device's scalars; 0: each on the CPU, every fifth
  /// elsewhere.
  TORCH_ARG(int64_t, check_interval) = 0;

  /// Growth γ > 1 of the iterations ⌈γᵏ⌉ whose x is kept in `Solution::snapshots`; Martens
  /// takes 1.3 (2010, section 4.6); 0: none.
  TORCH_ARG(double, snapshot_growth) = 0;

 public:
  bool uses_initial() const override { return true; }
  bool uses_preconditioner() const override { return true; }
  Solution solve(const LinearSystem& system) const override;
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
