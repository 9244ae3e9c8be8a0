#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

namespace natgrad {

/// A solution within a radius. Where the boundary stopped it, the summary's termination is
/// `NegativeCurvature` if pᵀAp < 0 led there, else `Boundary`.
struct NATGRAD_EXPORT TrustRegionSolution : Solution {
  bool on_boundary = false;  ///< whether ‖x‖ is the radius
  double norm = 0;           ///< ‖x‖, or ‖x‖_{M⁻¹} with a preconditioner
};

/// Truncated conjugate gradients in a trust region (Toint 1981; Steihaug 1983): an approximate
///
///     argmin φ(x) = ½ xᵀAx - bᵀx  subject to  ‖x‖ ≤ radius,
///
/// for any symmetric A; the radius is the system's if that is finite, else the one given here. From
/// x₀ = 0 the norms of the iterates grow (Steihaug 1983), so the path crosses the boundary once:
/// there it ends. It also goes straight to the boundary along the first p with pᵀAp ≤ 0, on which φ
/// only falls.
///
/// φ(x) is at most that of the Cauchy point, the best multiple of b (of M b) in the region; for
/// positive definite A it is at most half of the minimum, φ(x) ≤ ½ min φ < 0 (Yuan 2000).
///
/// With a preconditioner M ≈ A⁻¹ the norm is ‖x‖_{M⁻¹} = √(xᵀM⁻¹x), in which the norms grow then;
/// it is carried along in two vectors, M itself is not inverted. `initial` is not used: the norms
/// grow only from 0.
///
/// Converged is said of the residual recomputed; `Breakdown` where rounding had parted the
/// recurrence's from it, with x as good as the arithmetic allows on this path.
///
/// Cost: one product with A an iteration, one to confirm convergence; the scalars are read as they
/// come, also from a device.
///
/// Throws `c10::Error` for settings and a system's radius out of range, mismatched sizes, and a
/// preconditioner that is not positive definite.
class NATGRAD_EXPORT SteihaugConjugateGradient final : public Solver {
 public:
  /// Δ > 0 for systems without a finite `radius` of their own, which goes before this one; in the
  /// unit of x (with a preconditioner, of √φ).
  TORCH_ARG(double, radius) = 1;
  /// Iterations at most, ≥ 1.
  TORCH_ARG(int64_t, max_iterations) = 100;
  /// Stops at ‖b - A x‖ ≤ tolerance·‖b‖, in [0, 1); ten times the dtype's rounding is the least.
  TORCH_ARG(double, tolerance) = 1e-6;

 public:
  bool uses_preconditioner() const override { return true; }
  bool uses_radius() const override { return true; }
  Solution solve(const LinearSystem& system) const override;
  /// The same, telling where x lies.
  TrustRegionSolution solve_in_region(const LinearSystem& system) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
