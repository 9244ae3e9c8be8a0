#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

namespace natgrad {

/// RᵀR for rows R of [N, P], N < P or not: a product costs 2 N P multiply-adds. Knows the inverse
/// of its shifts with σ > 0 by the identity of Woodbury (1950) on the Gram matrix of the rows,
///
///     (RᵀR + σI)⁻¹ b = (b - Rᵀ(RRᵀ + σI)⁻¹ R b)/σ.
///
/// Solving throws `c10::Error` for σ <= 0: without a shift RᵀR is singular where N < P.
NATGRAD_EXPORT LinearOperator low_rank(torch::Tensor rows, std::string name = "low-rank matrix");

/// The `rank` rows whose product is the best approximation of RᵀR of that rank: R's leading right
/// singular vectors times their singular values. All of R if it has no more rows than that.
NATGRAD_EXPORT torch::Tensor leading_rows(const torch::Tensor& rows, int64_t rank);

}  // namespace natgrad
