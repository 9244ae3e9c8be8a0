#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/solvers/least_squares.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace natgrad {

/// Why a solver stopped.
enum class Termination {
  Converged,          ///< the true residual, recomputed, meets the tolerance
  RelativeProgress,   ///< φ fell by less than the asked share over the last iterations
  IterationLimit,     ///< as many iterations as allowed
  Boundary,           ///< x lies on the edge of the region ‖x‖ ≤ radius
  NegativeCurvature,  ///< pᵀAp < 0: A is not positive definite; x is the last iterate before
  Breakdown,          ///< pᵀAp is zero to rounding, or the residual no longer falls
  NonFinite,          ///< NaN or infinity in the system or a product
};

/// "Converged", "RelativeProgress", ...
NATGRAD_EXPORT const char* to_string(Termination termination);

/// What a solve did, as values: numerical outcomes are never exceptions.
struct NATGRAD_EXPORT SolverSummary {
  /// Why it stopped.
  Termination termination = Termination::IterationLimit;
  int64_t iterations = 0;  ///< made; 0 of a direct solver
  int64_t products = 0;    ///< products with A, the check of the residual included
  double residual = 0;  ///< ‖b - A x‖: recomputed if Converged, else as the recurrence has it
  double right_hand_side = 0;  ///< ‖b‖
  double quadratic = 0;        ///< φ(x) = ½ xᵀAx - bᵀx
};

/// A x = b. `initial` may be undefined (x₀ = 0); `preconditioner` multiplies by M ≈ A⁻¹, positive
/// definite; `radius` bounds ‖x‖ for solvers that honour one.
struct NATGRAD_EXPORT LinearSystem {
  LinearOperator matrix;                                        ///< A
  torch::Tensor right_hand_side;                                ///< b, [P]
  torch::Tensor initial = {};                                   ///< x₀, [P]
  std::optional<LinearOperator> preconditioner = std::nullopt;  ///< M
  double radius = std::numeric_limits<double>::infinity();      ///< Δ
};

struct KrylovBasis;

/// What a solver found.
struct NATGRAD_EXPORT Solution {
  torch::Tensor x;        ///< [P]
  SolverSummary summary;  ///< what it did for it
  /// Earlier iterates, oldest first, where the solver was asked to keep some; x is not among them.
  std::vector<torch::Tensor> snapshots = {};
  /// The subspace that x was found in, where the solver builds one explicitly.
  std::shared_ptr<const KrylovBasis> basis = nullptr;
  /// R x, [r], of least squares that were solved by their rows.
  torch::Tensor product_in_rows = {};
};

/// A method for A x = b. Most need nothing but products with A; what else one needs it says.
class NATGRAD_EXPORT Solver {
 public:
  virtual ~Solver() = default;
  /// Solves A x = b as far as it does.
  virtual Solution solve(const LinearSystem& system) const = 0;
  /// Whether it solves damped least squares by their rows, given this R.
  virtual bool solves_by_rows(const Root& /*root*/) const { return false; }
  /// Whether that damping may have `scales`.
  virtual bool takes_scales() const { return false; }
  /// Throws `c10::Error` unless `solves_by_rows`.
  virtual Solution solve_by_rows(const LeastSquares& problem) const;
  /// Whether it makes use of the system's `initial`, `preconditioner` and `radius`: what it does
  /// not use is better not asked for.
  virtual bool uses_initial() const { return false; }
  /// The same of the preconditioner.
  virtual bool uses_preconditioner() const { return false; }
  /// The same of the radius.
  virtual bool uses_radius() const { return false; }
  /// Whether it cannot do without a preconditioner.
  virtual bool needs_preconditioner() const { return false; }
  /// Whether it solves (C + λD) x = b also where D is not the identity.
  virtual bool takes_damping_matrix() const { return true; }
  /// Whether its solutions come with a `basis`.
  virtual bool builds_basis() const { return false; }
  /// Name and settings, for summaries and messages; equal text means equal settings.
  virtual std::string describe() const = 0;
  /// A copy, as the optimizer keeps it.
  virtual std::shared_ptr<const Solver> clone() const = 0;
};

}  // namespace natgrad
