#pragma once

// Kronecker products of [W, b] as explicit matrices on flat parameters, from their definitions.

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing {

/// A ⊗ G on V = [W, b] as the matrix of vec(V) ↦ vec(G V A), rows of V one after the other.
inline Tensor kronecker(const Tensor& a, const Tensor& g) { return torch::kron(g, a); }

/// Where in (W, b), W of [out, in] and b of [out], lies each number of vec([W, b]).
inline Tensor places_of_homogeneous(int64_t out, int64_t in) {
  const auto w = torch::arange(out * in).view({out, in});
  const auto b = out * in + torch::arange(out).view({out, 1});
  return torch::cat({w, b}, 1).flatten();
}

/// A matrix on vec([W, b]) as one on (W, b).
inline Tensor on_parameters(const Tensor& matrix, int64_t out, int64_t in) {
  const auto places = places_of_homogeneous(out, in);
  auto moved = torch::zeros_like(matrix);
  moved.index_put_({places.unsqueeze(1), places.unsqueeze(0)}, matrix);
  return moved;
}

inline Tensor with_ones(const Tensor& rows) {
  return torch::cat({rows, torch::ones({rows.size(0), 1}, rows.options())}, 1);
}

/// Σ rᵢ rᵢᵀ over rows, one by one.
inline Tensor sum_of_squares(const Tensor& rows) {
  auto sum = torch::zeros({rows.size(1), rows.size(1)}, rows.options());
  for (int64_t i = 0; i < rows.size(0); ++i) sum += rows[i].outer(rows[i]);
  return sum;
}

/// (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹ as printed.
inline Tensor factored_tikhonov(const Tensor& a, const Tensor& g, double lambda) {
  const double mean_a = (a.trace() / a.size(0)).item<double>();
  const double mean_g = (g.trace() / g.size(0)).item<double>();
  const double pi = std::sqrt(mean_a / mean_g), gamma = std::sqrt(lambda);
  const auto eye = [](const Tensor& m) { return torch::eye(m.size(0), m.options()); };
  return kronecker(torch::linalg_inv(a + pi * gamma * eye(a)),
                   torch::linalg_inv(g + gamma / pi * eye(g)));
}

}  // namespace natgrad::testing
