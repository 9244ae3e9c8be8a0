#pragma once

#include "detail.h"

#include <natgrad/preconditioners/preconditioner.h>

namespace natgrad::detail {

/// Throws unless 0 < ξ ≤ 1.
void check_exponent(const Preconditioner& preconditioner, double exponent);

/// diag(d + λ)^-ξ for d ≥ 0 of [P]. Throws unless 0 < ξ ≤ 1.
LinearOperator inverse_power(const Preconditioner& preconditioner, const torch::Tensor& d,
                             double lambda, double exponent);

}  // namespace natgrad::detail
