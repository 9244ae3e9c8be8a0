#include "fisher_ggn/quadrature.h"

#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace examples {

using torch::Tensor;

namespace {

constexpr double kPi = std::numbers::pi;

/// Nodes and weights on the line, before they are moved to where each example's y lie.
struct Rule {
  Tensor nodes, weights;  ///< [K]
};

/// E[f(ξ)] = Σ weightᵢ f(nodeᵢ), ξ standard normal. The nodes are the eigenvalues of the symmetric
/// tridiagonal matrix that the recurrence x Heₖ = Heₖ₊₁ + k Heₖ₋₁ of the Hermite polynomials gives,
/// √k beside its diagonal; the weights are the squares of the eigenvectors' first components.
Rule gauss_hermite(int64_t n) {
  const auto beside = torch::arange(1, n, torch::kDouble).sqrt();
  const auto [values, vectors] = torch::linalg_eigh(beside.diag(1) + beside.diag(-1));
  return {values, vectors[0].square()};
}

/// Steps of the trapezoidal rule, after the change of variables that lets integrands fall doubly
/// exponentially: from h = 1/20 on the families' integrals no longer change.
Tensor steps_up_to(double limit) {
  constexpr double kStep = 1.0 / 20;
  const auto count = static_cast<int64_t>(limit / kStep);
  return kStep * torch::arange(-count, count + 1, torch::kDouble);
}
Tensor half_pi_sinh(const Tensor& t) { return 0.5 * kPi * torch::sinh(t); }
Tensor half_pi_cosh(const Tensor& t) { return 0.5 * kPi * torch::cosh(t); }

Tensor in_double(const Tensor& of_examples) { return of_examples.detach().to(torch::kDouble); }

}  // namespace

Support all_values(const Tensor& values, int64_t examples) {
  auto shape = values.sizes().vec();
  shape.insert(shape.begin() + 1, examples);
  const auto measure = torch::ones({values.size(0), examples}, torch::kDouble);
  return {values.unsqueeze(1).expand(shape), measure};
}

Tensor combinations_of(const Tensor& values, int64_t m) {
  return torch::cartesian_prod(std::vector<Tensor>(static_cast<size_t>(m), values)).view({-1, m});
}

Tensor sums_of_three(int64_t count) {
  const auto all = combinations_of(torch::arange(count + 1, torch::kDouble), 3);
  return all.index({all.sum(1) == static_cast<double>(count)});
}

// The rule's weights are of the standard normal density, which is divided out again.
Support gaussian_space(const Tensor& mean, const Tensor& L) {
  constexpr int64_t kPoints = 5;
  const auto rule = gauss_hermite(kPoints);
  const auto density = torch::exp(-0.5 * rule.nodes.square()) / std::sqrt(2 * kPi);
  const auto m = mean.size(1);
  const auto nodes = combinations_of(rule.nodes, m);  // [K, M]
  const auto weights = combinations_of(rule.weights / density, m).prod(1);
  const auto factor = in_double(L);
  const auto moved = nodes.matmul(factor.transpose(1, 2)).transpose(0, 1);  // L ξ
  const auto volume = factor.diagonal(0, 1, 2).prod(1);
  return {in_double(mean) + moved, weights.unsqueeze(1) * volume};
}

Support gaussian_line(const Tensor& mean, const Tensor& deviation) {
  return gaussian_space(mean, torch::diag_embed(deviation.detach().expand_as(mean)));
}

Support half_line(const Tensor& origin, const Tensor& scale) {
  const auto t = steps_up_to(4);
  const auto x = torch::exp(half_pi_sinh(t));
  const auto weights = (t[1] - t[0]) * half_pi_cosh(t) * x;
  const auto wide = in_double(scale);
  return {in_double(origin) + wide * x.view({-1, 1, 1}),
          weights.unsqueeze(1) * wide.abs().squeeze(1)};
}

Support real_line(const Tensor& centre, double scale) {
  const auto wide = torch::full_like(centre.detach(), scale);
  return joined({half_line(centre, -wide), half_line(centre, wide)});
}

Support interval(const Tensor& lower, const Tensor& upper) {
  const auto t = steps_up_to(3.1);  // 1 - tanh is 1e-15 there
  const auto x = torch::tanh(half_pi_sinh(t)).view({-1, 1, 1});
  const auto slope = (t[1] - t[0]) * half_pi_cosh(t) / torch::cosh(half_pi_sinh(t)).square();
  const auto centre = in_double(0.5 * (lower + upper)), half = in_double(0.5 * (upper - lower));
  return {centre + half * x, slope.unsqueeze(1) * half.squeeze(1)};
}

Support circle(double lower, int64_t examples) {
  constexpr int64_t kPoints = 64;
  const auto angles = lower + 2 * kPi / kPoints * torch::arange(kPoints, torch::kDouble);
  const auto measure = torch::full({kPoints, examples}, 2 * kPi / kPoints, torch::kDouble);
  return {angles.view({-1, 1, 1}).expand({kPoints, examples, 1}), measure};
}

Support joined(const std::vector<Support>& parts) {
  std::vector<Tensor> y, measure;
  for (const auto& part : parts) {
    y.push_back(part.y);
    measure.push_back(part.measure);
  }
  return {torch::cat(y), torch::cat(measure)};
}

Support product(const Support& left, const Support& right) {
  const auto k = left.measure.size(0), l = right.measure.size(0);
  const auto i = torch::arange(k).repeat_interleave(l), j = torch::arange(l).repeat({k});
  const auto of = [](const Tensor& t, const Tensor& rows) { return t.index_select(0, rows); };
  return {torch::cat({of(left.y, i), of(right.y, j)}, -1),
          of(left.measure, i) * of(right.measure, j)};
}

}  // namespace examples
