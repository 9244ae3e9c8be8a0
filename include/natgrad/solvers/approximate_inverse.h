#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// x = M b, with the system's preconditioner M ≈ A⁻¹ as the inverse itself: what Kronecker factors
/// are made for (Martens & Grosse 2015, section 6). x is a direction of descent, xᵀb > 0, as M is
/// positive definite.
///
/// Nothing is iterated and A is not looked at, so how well x solves the system stays open: the
/// summary says IterationLimit after its one iteration, and its residual and φ(x) are NaN unless
/// `check` is on. NonFinite, with x = 0, where b or M b is not finite.
///
/// Cost: one product with M; with `check` one with A too. The system's `initial` and `radius` are
/// not used. Throws `c10::Error` without a preconditioner, for mismatched sizes, and where xᵀb ≤ 0.
class NATGRAD_EXPORT ApproximateInverse final : public Solver {
 public:
  /// Whether a product with A gives the summary its residual and φ(x).
  TORCH_ARG(bool, check) = false;

 public:
  bool uses_preconditioner() const override { return true; }
  bool takes_damping_matrix() const override { return false; }
  bool needs_preconditioner() const override { return true; }
  Solution solve(const LinearSystem& system) const override;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
