#pragma once

#include "detail.h"

#include <natgrad/damping/damping.h>
#include <natgrad/solvers/solver.h>

#include <optional>

#include "optim/step_data.h"

namespace natgrad::detail {

/// What one step solves,
///
///     (C + λD) δ = -∇h + λ μ D δ_prev,
///
/// and, where C = RᵀR + wI and ∇h = -Rᵀt + wθ, by the rows alone,
///
///     min over δ of ½‖t - R δ‖² + ½ w‖θ + δ‖² + ½ λ‖δ - μ δ_prev‖²:
///
/// damped least squares with σ = λ + w around (λ μ δ_prev - w θ)/σ.
struct DampedProblem {
  LinearSystem system;  ///< without a right-hand side if there are `rows`
  std::optional<LeastSquares> rows;
  torch::Tensor previous;          ///< δ_prev, [P], where something asks for it
  torch::Tensor previous_in_rows;  ///< R δ_prev, [r]; undefined if there is no δ_prev, or no rows
};

/// C + λD.
LinearOperator damped_matrix(const StepData& data, const LinearOperator& C, const Damping& damping);

/// `start`: the share of `previous` at which a solver starts where the damping has no centre.
DampedProblem damped_problem(const StepData& data, const LinearOperator& C, const Damping& damping,
                             double start, const torch::Tensor& previous);

/// The same by the rows of C and `rows`, with D = I or the damping's own: σ d² = λD + w then.
DampedProblem damped_problem_by_rows(const StepData& data, const RowForm& rows,
                                     const LinearOperator& C, const Damping& damping,
                                     const torch::Tensor& previous);

}  // namespace natgrad::detail
