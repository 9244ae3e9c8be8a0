#pragma once

#include "detail.h"

// Double-exponential quadrature (Takahasi & Mori 1974, "Double exponential formulas for numerical
// integration"): after y = y(t), by which the integrand falls like exp(-exp|t|), the trapezoidal
// rule in t converges exponentially, also at integrable singularities of the ends.

#include <torch/types.h>

#include <vector>

namespace natgrad::detail {

/// ∫ f(y) dy ≈ Σ_k weights[i, k] f(nodes[i, k]) for every row i; nodes ascend along a row.
struct Quadrature {
  torch::Tensor nodes, weights;  // [n, K]
  int64_t pieces;                // K is made of as many equal parts, one for each piece of the line
};

/// The rule of step 2^-level on every piece between neighbours of `breaks`, [n, m], ascending
/// along a row; the first and the last may be infinite for all rows. double; at least one is
/// finite. Nodes lie down to e^-316 of a piece's length near its ends, or of 1 on half-lines, out
/// to e^316.
Quadrature double_exponential(const torch::Tensor& breaks, int level);

/// ∫ f(s) ds over [0, 1] ≈ Σ weight f(node), exact for polynomials of degree below 2n (Golub &
/// Welsch 1969).
struct GaussLegendre {
  std::vector<double> nodes, weights;
};
GaussLegendre gauss_legendre(int64_t n);

}  // namespace natgrad::detail
