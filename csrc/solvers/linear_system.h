#pragma once

#include "detail.h"

#include <natgrad/solvers/solver.h>
#include "linalg/norm.h"

#include <optional>

namespace natgrad::detail {

/// Rounding of a product with A, and of ‖b - A x‖, in units of the arithmetic's epsilon.
inline constexpr double kProductRounding = 10;

/// Throws where the vectors or the preconditioner of a system are not of its matrix' size.
void check_sizes(const LinearSystem& system);

/// x = 0 with the summary of having done nothing: φ(0) = 0, ‖b - A 0‖ = ‖b‖.
Solution zero_solution(const LinearSystem& system, Termination termination, int64_t products = 0);

/// What needs no product: x = 0 where b = 0 (Converged) or b is not finite (NonFinite).
std::optional<Solution> solution_without_products(const LinearSystem& system);

/// φ(x) = ½ xᵀAx - bᵀx in double, given A x.
double quadratic_of(const torch::Tensor& x, const torch::Tensor& product, const torch::Tensor& b);

/// The largest |vᵢ|, NaN if some vᵢ is.
double largest_entry(const torch::Tensor& v);

/// Throws, saying what a preconditioner must be, unless rᵀMr is positive and finite.
void check_preconditioned(double rMr);

}  // namespace natgrad::detail
