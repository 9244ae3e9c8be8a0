#pragma once

#include <natgrad/solvers/solver.h>
#include "detail.h"

namespace natgrad::detail {

/// Solves A x = b as s·A x = s·b, with a power of two for s that brings ‖b‖ near 1 where it is so
/// far from it that squares leave the range of float32. x is the same, and so is the summary, but
/// that nothing under- or overflows on the way.
Solution solve_in_range(const Solver& solver, const LinearSystem& system);

}  // namespace natgrad::detail
