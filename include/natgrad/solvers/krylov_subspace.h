#pragma once

#include <natgrad/export.h>
#include <natgrad/solvers/solver.h>
#include <torch/arg.h>

#include <optional>

namespace natgrad {

/// An orthonormal basis V of a subspace, and A in its coordinates.
struct NATGRAD_EXPORT KrylovBasis {
  torch::Tensor vectors;    ///< V, [P, m]
  torch::Tensor projected;  ///< VᵀA V, [m, m], in double on the CPU
  int64_t products = 0;     ///< with A
  bool finite = true;       ///< false if some product was not: the basis ends before it
};

/// The basis of span{M b, (MA) M b, ..., (MA)^{K-1} M b, previous} (Vinyals & Povey 2012, algorithm
/// 1; M = I without a preconditioner), orthogonalised twice against all of it. A caller minimises
/// the true objective over θ + V a; `floor_eigenvalues(projected, ε)` is the metric for a.
///
/// m ≤ K + 1 is smaller where a vector lies in the span of those before, to rounding, and 0 for b =
/// 0 without `previous`. `previous` may be undefined. Costs m products and m vectors of [P].
///
/// Throws `c10::Error` for K < 1, mismatched sizes, a b or previous that is not finite, and a
/// preconditioner with bᵀM b ≤ 0.
NATGRAD_EXPORT KrylovBasis
krylov_basis(const LinearOperator& A, const torch::Tensor& b, int64_t dimension,
             const torch::Tensor& previous = {},
             const std::optional<LinearOperator>& preconditioner = std::nullopt);

/// U max(Λ, ε max Λ) Uᵀ for a symmetric matrix U Λ Uᵀ: the damping of Krylov subspace descent
/// (Vinyals & Povey 2012). Throws `c10::Error` for ε outside (0, 1] and a matrix without a positive
/// eigenvalue, which has no such floor.
NATGRAD_EXPORT torch::Tensor floor_eigenvalues(const torch::Tensor& matrix, double floor);

/// The minimiser of the quadratic model over Krylov's subspace and the previous direction,
///
///     x = V Ĥ⁻¹ Vᵀb,  Ĥ = VᵀA V with its eigenvalues floored at ε times the largest,
///
/// with V = `krylov_basis(A, b, K, initial, preconditioner)` (Vinyals & Povey 2012). The system's
/// `initial` is the previous direction, of which only the line matters. Where the floor is not
/// reached this is the minimiser of φ itself over the subspace: K iterations of conjugate gradients
/// without a previous direction, and never worse with one. Where it is, φ(x) < 0 all the same, for
/// indefinite A too.
///
/// The summary's iterations are m; its termination is Converged if ‖b - A x‖ ≤ tolerance·‖b‖; else
/// NegativeCurvature if the projected matrix has a negative eigenvalue (x is as above if it also
/// has a positive one, else 0); Breakdown, x = 0, if it is zero; else IterationLimit.
///
/// `Solution::basis` is V and VᵀA V; of no vectors where b is 0 or not finite.
///
/// Cost: m + 1 products, memory for K + 1 vectors of [P]. Throws `c10::Error` for settings out of
/// range, mismatched sizes, and a preconditioner with bᵀM b ≤ 0.
class NATGRAD_EXPORT KrylovSubspace final : public Solver {
 public:
  /// K ≥ 1, without the previous direction. Vinyals & Povey take 20 and more.
  TORCH_ARG(int64_t, dimension) = 20;
  /// ε in (0, 1]; Vinyals & Povey take 1e-4. The dtype's rounding is the least.
  TORCH_ARG(double, floor) = 1e-4;
  /// Of the residual that is called Converged, relative to ‖b‖, in [0, 1).
  TORCH_ARG(double, tolerance) = 1e-6;

 public:
  bool uses_initial() const override { return true; }
  bool uses_preconditioner() const override { return true; }
  bool builds_basis() const override { return true; }
  Solution solve(const LinearSystem& system) const override;
  /// The same for A x = b given plainly.
  Solution solve(const LinearOperator& matrix, const torch::Tensor& right_hand_side) const;
  std::string describe() const override;
  std::shared_ptr<const Solver> clone() const override;
};

}  // namespace natgrad
