#pragma once

#include <natgrad/linalg/linear_operator.h>

#include <memory>
#include <optional>
#include <string>

namespace natgrad {

/// Why a solver stopped.
enum class Termination {
  Converged,          ///< the true residual, recomputed, meets the tolerance
  RelativeProgress,   ///< φ fell by less than the asked share over the last iterations
  IterationLimit,     ///< as many iterations as allowed
  NegativeCurvature,  ///< pᵀAp < 0: A is not positive definite; x is the last iterate before
  Breakdown,          ///< pᵀAp is zero to rounding, or the residual no longer falls
  NonFinite,          ///< NaN or infinity in the system or a product
};

/// "Converged", "RelativeProgress", ...
const char* to_string(Termination termination);

/// What a solve did, as values: numerical outcomes are never exceptions.
struct SolverSummary {
  Termination termination = Termination::IterationLimit;
  int64_t iterations = 0;
  int64_t products = 0;  ///< products with A, the check of the residual included
  double residual = 0;   ///< ‖b - A x‖: recomputed if Converged, else as the recurrence has it
  double right_hand_side = 0;  ///< ‖b‖
  double quadratic = 0;        ///< φ(x) = ½ xᵀAx - bᵀx
};

/// A x = b. `initial` may be undefined (x₀ = 0); `preconditioner` multiplies by M ≈ A⁻¹, positive
/// definite.
struct LinearSystem {
  LinearOperator matrix;
  torch::Tensor right_hand_side;
  torch::Tensor initial = {};
  std::optional<LinearOperator> preconditioner = std::nullopt;
};

struct Solution {
  torch::Tensor x;
  SolverSummary summary;
};

/// A method for A x = b that needs nothing but products with A.
class Solver {
 public:
  virtual ~Solver() = default;
  virtual Solution solve(const LinearSystem& system) const = 0;
  /// Name and settings, for summaries and messages; equal text means equal settings.
  virtual std::string describe() const = 0;
  virtual std::shared_ptr<const Solver> clone() const = 0;
};

}  // namespace natgrad
