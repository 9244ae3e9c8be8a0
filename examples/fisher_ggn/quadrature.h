#pragma once

#include <torch/types.h>

#include <vector>

namespace examples {

/// All y of an example, or the points of a quadrature over them, for N examples at once:
/// ∫ f(y) dy = Σₖ measureₖ f(yₖ).
struct Support {
  torch::Tensor y;        ///< [K, N, ...]
  torch::Tensor measure;  ///< [K, N], double
};

/// The same values, [K] or [K, M], for each example; each counts 1.
Support all_values(const torch::Tensor& values, int64_t examples);
/// All combinations of M values out of `values`, one a row: [n^M, M].
torch::Tensor combinations_of(const torch::Tensor& values, int64_t m);
/// All ways to write `count` as a sum of three whole numbers ≥ 0, one a row: [n, 3].
torch::Tensor sums_of_three(int64_t count);

/// R^M by the product of 5-point Gauss-Hermite rules (Golub & Welsch 1969), for densities that are
/// Gaussians of this mean, [N, M], and covariance L Lᵀ, L [N, M, M]: exact for E[f] with f a
/// polynomial of degree up to 9 in each y.
Support gaussian_space(const torch::Tensor& mean, const torch::Tensor& L);
/// The same of independent y, with their standard deviations [N, M].
Support gaussian_line(const torch::Tensor& mean, const torch::Tensor& deviation);

/// y = origin + scale·x, x > 0, by double-exponential quadrature (Takahasi & Mori 1974): to
/// rounding for what is smooth but at the origin, and falls like a power or faster within some
/// scales. Both [N, 1]; a negative scale goes down.
Support half_line(const torch::Tensor& origin, const torch::Tensor& scale);
/// Both half lines that meet at the centre.
Support real_line(const torch::Tensor& centre, double scale = 1);
/// (lower, upper), each [N, 1], likewise.
Support interval(const torch::Tensor& lower, const torch::Tensor& upper);
/// Equal steps around the circle from `lower`: to rounding for smooth periodic functions.
Support circle(double lower, int64_t examples);

/// The points of all parts.
Support joined(const std::vector<Support>& parts);
/// Pairs of independent y, side by side along the last dimension.
Support product(const Support& left, const Support& right);

}  // namespace examples
