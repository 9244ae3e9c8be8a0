#pragma once

#include "detail.h"

// Symmetric positive semi-definite matrices of each example, [N, K, K], which may be singular.

#include <torch/torch.h>

#include <limits>
#include <optional>

namespace natgrad::detail {

/// By row: whether all its numbers are finite, [N].
inline torch::Tensor finite_rows(const torch::Tensor& t) { return t.isfinite().flatten(1).all(1); }

/// `of`, but NaN for those matrices of F that are not finite.
inline torch::Tensor where_finite(const torch::Tensor& f, const torch::Tensor& of) {
  const auto finite = finite_rows(f).view({-1, 1, 1});
  return of.masked_fill(finite.logical_not(), std::numeric_limits<double>::quiet_NaN());
}

/// F⁻ of symmetric matrices: eigenvalues that are rounding count as zero, in units of F's diagonal,
/// since statistics may be of different sizes (y and y²). S (S F S)⁺ S is a generalised inverse.
inline torch::Tensor generalised_inverse(const torch::Tensor& f) {
  const auto known = f.nan_to_num();
  const auto diagonal = known.diagonal(0, -2, -1);
  const auto scale = torch::where(diagonal > 0, diagonal.rsqrt(), 0);
  const auto scales = scale.unsqueeze(-1) * scale.unsqueeze(-2);
  const auto inverse = scales * torch::linalg_pinv(known * scales, std::optional<double>(),
                                                   std::nullopt, /*hermitian=*/true);
  return where_finite(f, inverse);
}

}  // namespace natgrad::detail
