#pragma once

#include "detail.h"

#include <natgrad/solvers/conjugate_gradients.h>

namespace natgrad::detail {

/// ‖t - R x₀‖ without the row that is furthest off, relative to that of all rows.
double share_of_others(const LeastSquares& problem);

/// Damped least squares by the factors of RRᵀ + σI. In float32 where its condition, which
/// is 1 + tr(RRᵀ)/σ at most, allows it: with σ the mean of ‖Rᵢ‖² it is 1 + r for r rows.
Solution solve_by_gram_matrix(const LeastSquares& problem);

/// Whether rounding in float32 leaves enough of a solve with RRᵀ + σI or RᵀR + σI, where no
/// eigenvalue of RRᵀ is larger than `bound`.
bool is_for_float(double bound, double shift);

/// The same by conjugate gradients on RRᵀ + σI, with one R v and one Rᵀu an iteration.
Solution solve_by_row_products(const LeastSquares& problem, const ConjugateGradient& solver);

}  // namespace natgrad::detail
