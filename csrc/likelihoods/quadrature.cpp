#include "likelihoods/quadrature.h"

#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace natgrad::detail {

using torch::Tensor;

namespace {

// Range of t: powers of y up to the second stay finite at its ends.
constexpr double kRange = 6;

struct Piece {
  Tensor nodes, weights;  // [n, K]
};

/// y = a + (b - a) / (1 + e^(-π sinh t)), from the nearer end.
Piece tanh_sinh(const Tensor& a, const Tensor& b, const Tensor& t, double step) {
  constexpr double kPi = std::numbers::pi;
  const auto length = (b - a).unsqueeze(1);
  const auto near = torch::sigmoid(-kPi * torch::sinh(t.abs()));  // of the length
  const auto slope = kPi * torch::cosh(t) * near * torch::sigmoid(kPi * torch::sinh(t.abs()));
  const auto left = a.unsqueeze(1) + length * near, right = b.unsqueeze(1) - length * near;
  return {torch::where(t < 0, left, right), step * length * slope};
}

/// y = a + e^(π/2 sinh t).
Piece exp_sinh(const Tensor& a, const Tensor& t, double step) {
  constexpr double kHalfPi = std::numbers::pi / 2;
  const auto distance = torch::exp(kHalfPi * torch::sinh(t));
  const auto weights = step * kHalfPi * torch::cosh(t) * distance;
  return {a.unsqueeze(1) + distance, weights.expand({a.size(0), -1})};
}

}  // namespace

Quadrature double_exponential(const Tensor& breaks, int level) {
  const double step = std::ldexp(1.0, -level);
  const auto count = static_cast<int64_t>(kRange / step);
  const auto t = step * torch::arange(-count, count + 1, breaks.options());
  std::vector<Tensor> nodes, weights;
  for (int64_t k = 0; k + 1 < breaks.size(1); ++k) {
    const auto a = breaks.select(1, k), b = breaks.select(1, k + 1);
    Piece piece;
    if (a.isinf().any().item<bool>()) {
      const auto mirrored = exp_sinh(-b, t, step);
      piece = {-mirrored.nodes.flip(1), mirrored.weights.flip(1)};
    } else {
      piece = b.isinf().any().item<bool>() ? exp_sinh(a, t, step) : tanh_sinh(a, b, t, step);
    }
    nodes.push_back(piece.nodes);
    weights.push_back(piece.weights);
  }
  const auto pieces = static_cast<int64_t>(nodes.size());
  return {torch::cat(nodes, 1), torch::cat(weights, 1), pieces};
}

// The eigenvalues of the Legendre polynomials' recurrence, and their vectors' first components.
GaussLegendre gauss_legendre(int64_t n) {
  const torch::NoGradGuard no_grad;
  const auto k = torch::arange(1, n, torch::kDouble);
  const auto beside = k / (4 * k.square() - 1).sqrt();
  const auto [x, vectors] = torch::linalg_eigh(torch::diag(beside, 1) + torch::diag(beside, -1));
  GaussLegendre rule;
  for (int64_t i = 0; i < n; ++i) {
    rule.nodes.push_back(0.5 * (1 + x[i].item<double>()));
    rule.weights.push_back(vectors[0][i].square().item<double>());
  }
  return rule;
}

}  // namespace natgrad::detail
