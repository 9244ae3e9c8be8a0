#pragma once

// Integrals over a distribution's support as finite sums: enumeration and Gauss quadrature.

#include <cmath>
#include <numbers>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

/// ∫ f(y) dy = Σ_k measure[k] f(points[k]), for every observation at once. A point has the shape in
/// which `Likelihood::log_prob` takes y; its measure is one number, or one for each observation.
struct Support {
  std::vector<Tensor> points;
  std::vector<Tensor> measure;

  void add(const Tensor& point, const Tensor& weight) {
    points.push_back(point.detach());
    measure.push_back(weight.detach());
  }
  void add(const Tensor& point, double weight) {
    add(point, torch::tensor(weight, torch::kDouble));
  }
};

/// Every class index; z without its class dimension.
inline Support enumerate_classes(const Tensor& z, int64_t dim) {
  const auto like = z.select(dim, 0);
  Support support;
  for (int64_t k = 0; k < z.size(dim); ++k) {
    support.add(torch::full(like.sizes(), k, torch::kLong), 1);
  }
  return support;
}

/// y = 0 and y = 1.
inline Support enumerate_binary(const Tensor& z) {
  Support support;
  support.add(torch::zeros_like(z), 1);
  support.add(torch::ones_like(z), 1);
  return support;
}

/// 0, 1, 2, ... as far as a count of mean e^z may lie: the rest has a probability below 1e-20.
inline Support enumerate_counts(const Tensor& z) {
  const double rate = z.max().exp().item<double>();
  Support support;
  for (int64_t y = 0; y < rate + 10 * std::sqrt(rate) + 25; ++y) {
    support.add(torch::full_like(z, y), 1);
  }
  return support;
}

struct Quadrature {
  std::vector<double> nodes;
  std::vector<double> weights;
};

/// ∫ w(x) f(x) dx ≈ Σ weight f(node), exact for polynomials of degree below 2n (Golub & Welsch
/// 1969): the nodes are the eigenvalues of the Jacobi matrix of w's orthogonal polynomials, the
/// weights the squared first components of its eigenvectors, times ∫ w(x) dx.
inline Quadrature golub_welsch(const Tensor& diagonal, const Tensor& off_diagonal, double total) {
  const auto jacobi =
      torch::diag(diagonal) + torch::diag(off_diagonal, 1) + torch::diag(off_diagonal, -1);
  const auto [nodes, vectors] = torch::linalg_eigh(jacobi);
  const auto weights = total * vectors.select(0, 0).square();
  Quadrature rule;
  for (int64_t k = 0; k < diagonal.numel(); ++k) {
    rule.nodes.push_back(nodes[k].item<double>());
    rule.weights.push_back(weights[k].item<double>());
  }
  return rule;
}

/// w(x) = e^{-x²} on the real line.
inline Quadrature gauss_hermite(int64_t n) {
  const auto k = torch::arange(1, n, torch::kDouble);
  return golub_welsch(torch::zeros({n}, torch::kDouble), (k / 2).sqrt(),
                      std::sqrt(std::numbers::pi));
}

/// w(x) = 1 on [-1, 1].
inline Quadrature gauss_legendre(int64_t n) {
  const auto k = torch::arange(1, n, torch::kDouble);
  return golub_welsch(torch::zeros({n}, torch::kDouble), k / (4 * k.square() - 1).sqrt(), 2);
}

/// w(x) = e^{-x} for x > 0.
inline Quadrature gauss_laguerre(int64_t n) {
  return golub_welsch(2 * torch::arange(n, torch::kDouble) + 1, torch::arange(1, n, torch::kDouble),
                      1);
}

/// The real line, for densities shaped like a Gaussian around `center` with standard deviation
/// `sigma` (a number for each observation, or one for all): y = center + √2 sigma x, with the
/// weight e^{-x²} of the rule divided out again.
inline Support real_line(const Tensor& center, const Tensor& sigma) {
  constexpr int64_t kNodes = 24;
  const auto rule = gauss_hermite(kNodes);
  const auto scale = std::numbers::sqrt2 * sigma;
  Support support;
  for (int64_t k = 0; k < kNodes; ++k) {
    const double x = rule.nodes[k];
    support.add(center + scale * x, scale * rule.weights[k] * std::exp(x * x));
  }
  return support;
}

/// The space of an observation's D outputs, for densities shaped like a Gaussian around z, [N, D],
/// with the covariance of `cholesky`, [D, D] or [N, D, D]: a grid of the same rule. Few nodes,
/// since their number is to the power of D; what is divided by the density's own shape is of low
/// degree.
inline Support real_space(const Tensor& z, const Tensor& cholesky) {
  constexpr int64_t kNodes = 5;
  const auto rule = gauss_hermite(kNodes);
  const auto factor = std::numbers::sqrt2 * cholesky;
  const auto volume = factor.diagonal(0, -2, -1).prod(-1);
  const auto grid = static_cast<int64_t>(std::pow(kNodes, z.size(1)));
  Support support;
  for (int64_t k = 0; k < grid; ++k) {
    auto x = torch::zeros({z.size(1)}, torch::kDouble);
    double weight = 1;
    for (int64_t d = 0, rest = k; d < z.size(1); ++d, rest /= kNodes) {
      const double node = rule.nodes[rest % kNodes];
      x[d] = node;
      weight *= rule.weights[rest % kNodes] * std::exp(node * node);
    }
    support.add(z + factor.matmul(x), volume * weight);
  }
  return support;
}

/// The real line, for densities that are smooth within `core` of z and fall like e^{-rate |y - z|}
/// beyond: Gauss-Legendre within, Gauss-Laguerre on either side.
inline Support line_with_tails(const Tensor& z, double core, double rate) {
  constexpr int64_t kCoreNodes = 20, kTailNodes = 6;
  Support support;
  const auto legendre = gauss_legendre(kCoreNodes);
  for (int64_t k = 0; core > 0 && k < kCoreNodes; ++k) {
    support.add(z + core * legendre.nodes[k], core * legendre.weights[k]);
  }
  const auto laguerre = gauss_laguerre(kTailNodes);
  for (int64_t k = 0; k < kTailNodes; ++k) {
    const double x = laguerre.nodes[k], weight = laguerre.weights[k] * std::exp(x) / rate;
    support.add(z - core - x / rate, weight);
    support.add(z + core + x / rate, weight);
  }
  return support;
}

}  // namespace natgrad::testing
