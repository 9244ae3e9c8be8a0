#pragma once

// Integrals over a distribution's support as finite sums: enumeration and Gauss quadrature.

#include <algorithm>
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

/// Waiting times of these rates: Gauss-Laguerre.
inline Support waiting_times(const Tensor& rate) {
  constexpr int64_t kNodes = 6;
  const auto rule = gauss_laguerre(kNodes);
  Support support;
  for (int64_t k = 0; k < kNodes; ++k) {
    support.add(rule.nodes[k] / rate, rule.weights[k] * std::exp(rule.nodes[k]) / rate);
  }
  return support;
}

/// The trapezoidal rule at t = -from, ..., to after a change of variables that lets the integrand
/// fall doubly exponentially (Takahasi & Mori 1974), so that powers and logarithms at the ends do
/// no harm. `add(t, step)` adds a point; those in the middle are the first and the last.
template <class Add>
void double_exponential(double from, double to, double step, Add add) {
  const auto points = static_cast<int64_t>((to + from) / step);
  for (int64_t k = 0; k < points; ++k) {
    add((k < points / 2 ? step : step - points * step) + step * static_cast<double>(k), step);
  }
}

/// Positive numbers, for densities that fall like e^{-rate y} and at 0 like a power of y above
/// -0.3: y = exp(t - e^{-t}) / rate.
inline Support positive_numbers(const Tensor& rate) {
  Support support;
  double_exponential(3.9, 4.5, 0.15, [&](double t, double step) {
    const double y = std::exp(t - std::exp(-t));
    support.add(y / rate, step * y * (1 + std::exp(-t)) / rate);
  });
  return support;
}

/// [0, 1], for densities that fall at least linearly at both ends: y = ½ (1 + tanh(½ π sinh t)).
inline Support unit_interval(const Tensor& like) {
  Support support;
  double_exponential(2.64, 2.64, 0.12, [&](double t, double step) {
    const double y = 1 / (1 + std::exp(-std::numbers::pi * std::sinh(t)));
    const double rest = 1 / (1 + std::exp(std::numbers::pi * std::sinh(t)));
    support.add(torch::full_like(like, y, torch::kDouble),
                step * std::numbers::pi * std::cosh(t) * y * rest);
  });
  return support;
}

/// Angles, for periodic densities: equal steps.
inline Support circle(const Tensor& like) {
  constexpr int64_t kPoints = 64;
  const double step = 2 * std::numbers::pi / kPoints;
  Support support;
  for (int64_t k = 0; k < kPoints; ++k) {
    support.add(torch::full_like(like, k * step - 3, torch::kDouble), step);
  }
  return support;
}

/// 0, 1, 2, ... as far as counts with p(y + 1) / p(y) → ratio may lie.
inline Support enumerate_geometric_counts(const Tensor& like, double ratio) {
  Support support;
  for (int64_t y = 0; y < 55 / -std::log(ratio); ++y) {
    support.add(torch::full_like(like, y, torch::kDouble), 1);
  }
  return support;
}

/// All ways to write `count` as a sum of this many whole numbers >= 0.
inline std::vector<std::vector<double>> compositions(int64_t count, int64_t parts) {
  if (parts == 1) return {{static_cast<double>(count)}};
  std::vector<std::vector<double>> result;
  for (int64_t first = 0; first <= count; ++first) {
    for (auto rest : compositions(count - first, parts - 1)) {
      rest.push_back(static_cast<double>(first));
      result.push_back(rest);
    }
  }
  return result;
}

/// The counts of classes, shaped like z, that sum to `counts` for each observation (z without
/// `dim`). Observations of fewer compositions than others repeat one with the measure 0.
inline Support enumerate_class_counts(const Tensor& z, const Tensor& counts, int64_t dim) {
  const auto like = z.movedim(dim, -1);
  const auto total = counts.expand(like.select(-1, 0).sizes()).reshape(-1);
  std::vector<std::vector<std::vector<double>>> lists;
  size_t longest = 0;
  for (int64_t i = 0; i < total.numel(); ++i) {
    lists.push_back(compositions(total[i].item<int64_t>(), like.size(-1)));
    longest = std::max(longest, lists.back().size());
  }
  Support support;
  for (size_t k = 0; k < longest; ++k) {
    std::vector<Tensor> point;
    std::vector<double> measure;
    for (const auto& list : lists) {
      point.push_back(torch::tensor(list[std::min(k, list.size() - 1)], torch::kDouble));
      measure.push_back(k < list.size() ? 1 : 0);
    }
    support.add(torch::stack(point).view(like.sizes()).movedim(-1, dim).contiguous(),
                torch::tensor(measure, torch::kDouble).view(like.select(-1, 0).sizes()));
  }
  return support;
}

/// These values.
inline Support enumerate_values(const Tensor& z, const std::vector<double>& values) {
  Support support;
  for (const double value : values) support.add(torch::full_like(z, value), 1);
  return support;
}

/// The real line as y = z + x(u), by Gauss-Legendre in u over (0, 1): for integrands that `x`, with
/// the derivative `slope`, makes smooth up to the ends.
template <class Map, class Slope>
Support line_by(const Tensor& z, Map x, Slope slope) {
  constexpr int64_t kNodes = 24;
  const auto rule = gauss_legendre(kNodes);
  Support support;
  for (int64_t k = 0; k < kNodes; ++k) {
    const double u = 0.5 * (1 + rule.nodes[k]);
    support.add(z + x(u), 0.5 * rule.weights[k] * slope(u));
  }
  return support;
}

/// For densities with the tails of 1/y² and beyond: y = z + scale tan(π(u - ½)).
inline Support line_with_algebraic_tails(const Tensor& z, double scale) {
  constexpr double kPi = std::numbers::pi;
  return line_by(
      z, [=](double u) { return scale * std::tan(kPi * (u - 0.5)); },
      [=](double u) { return scale * kPi / std::pow(std::cos(kPi * (u - 0.5)), 2); });
}

/// For densities like the derivative of 1/(1 + e^(-y/scale)) around z.
inline Support logistic_line(const Tensor& z, double scale) {
  return line_by(
      z, [=](double u) { return scale * std::log(u / (1 - u)); },
      [=](double u) { return scale / (u * (1 - u)); });
}

/// For densities like 1/cosh(y - z), by the inverse of the Gudermannian.
inline Support sech_line(const Tensor& z) {
  constexpr double kPi = std::numbers::pi;
  return line_by(
      z, [](double u) { return std::asinh(std::tan(kPi * (u - 0.5))); },
      [](double u) { return kPi / std::cos(kPi * (u - 0.5)); });
}

/// For e^(-|y - z|^1.5) times powers of |y - z|^½: by its root v, in which they are smooth.
inline Support line_of_roots(const Tensor& z) {
  constexpr int64_t kNodes = 30;
  constexpr double kReach = 3.5;  // e^(-v³) is 2e-19 there
  const auto rule = gauss_legendre(kNodes);
  Support support;
  for (int64_t k = kNodes - 1; k >= 0; --k) {
    const double v = 0.5 * kReach * (1 + rule.nodes[k]), weight = v * kReach * rule.weights[k];
    support.add(z - v * v, weight);
    support.add(z + v * v, weight);
  }
  return support;
}

/// Independent columns of y side by side along dimension 1: every pair of points.
inline Support product(const Support& left, const Support& right) {
  const auto column = [](const Tensor& t) {
    return t.dim() == 1 ? t.unsqueeze(1).to(torch::kDouble) : t;
  };
  const auto row = [](const Tensor& t) { return t.dim() == 2 ? t.squeeze(1) : t; };
  Support support;
  for (size_t i = 0; i < left.points.size(); ++i) {
    for (size_t j = 0; j < right.points.size(); ++j) {
      support.add(torch::cat({column(left.points[i]), column(right.points[j])}, 1),
                  row(left.measure[i]) * row(right.measure[j]));
    }
  }
  return support;
}

}  // namespace natgrad::testing
