#pragma once

// Integrals over a distribution's support as finite sums: enumeration and Gauss-Hermite quadrature.

#include <cmath>
#include <numbers>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

/// ∫ f(y) dy = Σ_k measure[k] f(points[k]), for every observation at once. A point has the shape in
/// which `Likelihood::log_prob` takes y.
struct Support {
  std::vector<Tensor> points;
  std::vector<double> measure;
};

/// Every class index; z without its class dimension.
inline Support enumerate_classes(const Tensor& z, int64_t dim) {
  const auto like = z.select(dim, 0);
  Support support;
  for (int64_t k = 0; k < z.size(dim); ++k) {
    support.points.push_back(torch::full(like.sizes(), k, torch::kLong));
    support.measure.push_back(1);
  }
  return support;
}

/// y = 0 and y = 1.
inline Support enumerate_binary(const Tensor& z) {
  return {{torch::zeros_like(z), torch::ones_like(z)}, {1, 1}};
}

struct Quadrature {
  std::vector<double> nodes;
  std::vector<double> weights;
};

/// ∫ e^{-x²} f(x) dx ≈ Σ w f(x), exact for polynomials of degree below 2n (Golub & Welsch 1969):
/// the nodes are the eigenvalues of the Hermite polynomials' Jacobi matrix, the weights √π times
/// the squared first components of its eigenvectors.
inline Quadrature gauss_hermite(int64_t n) {
  const auto off_diagonal = (torch::arange(1, n, torch::kDouble) / 2).sqrt();
  const auto jacobi = torch::diag(off_diagonal, 1) + torch::diag(off_diagonal, -1);
  const auto [nodes, vectors] = torch::linalg_eigh(jacobi);
  const auto weights = std::sqrt(std::numbers::pi) * vectors.select(0, 0).square();
  Quadrature rule;
  for (int64_t k = 0; k < n; ++k) {
    rule.nodes.push_back(nodes[k].item<double>());
    rule.weights.push_back(weights[k].item<double>());
  }
  return rule;
}

/// The real line, for densities shaped like a Gaussian around z with standard deviation `sigma`:
/// y = z + √2 sigma x, with the weight e^{-x²} of the rule divided out again.
inline Support real_line(const Tensor& z, double sigma) {
  constexpr int64_t kNodes = 24;
  const auto rule = gauss_hermite(kNodes);
  const double scale = std::numbers::sqrt2 * sigma;
  Support support;
  for (int64_t k = 0; k < kNodes; ++k) {
    const double x = rule.nodes[k];
    support.points.push_back((z + scale * x).detach());
    support.measure.push_back(scale * rule.weights[k] * std::exp(x * x));
  }
  return support;
}

}  // namespace natgrad::testing
