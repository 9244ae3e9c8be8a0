#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>

#include <string>

namespace natgrad::detail {

/// RᵀR for R of [r, P] that is held number by number; it knows its root.
LinearOperator operator_of_rows(const torch::Tensor& rows, std::string name);

}  // namespace natgrad::detail
