#pragma once

#include "detail.h"

#include <natgrad/preconditioners/kronecker_factors.h>

namespace natgrad::detail {

/// Throws `c10::Error` for options out of range.
void check_options(const KroneckerOptions& options);

}  // namespace natgrad::detail
