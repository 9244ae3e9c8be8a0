#pragma once

#include "detail.h"

#include <natgrad/solvers/solver.h>

namespace natgrad::detail {

/// x = A⁻¹ b for a matrix that knows its inverse (`LinearOperator::has_solve`), without iterations;
/// one product tells the residual, and whether xᵀAx < 0: then A is not positive definite.
Solution solve_directly(const LinearSystem& system);

}  // namespace natgrad::detail
