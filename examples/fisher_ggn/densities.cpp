#include "fisher_ggn/densities.h"

#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace examples::densities {

using torch::Tensor;

namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

Tensor half(const Tensor& z, int64_t which) { return z.chunk(2, 1)[which]; }

/// log Γ by Stirling's series after ten steps of Γ(x + 1) = x Γ(x), for x > 0: in elementary ops,
/// so that autograd's derivatives have all digits. LibTorch's lgamma has nine in its second one.
Tensor log_gamma_by_series(const Tensor& x) {
  constexpr int kSteps = 10;
  auto steps = torch::zeros_like(x);
  for (int i = 0; i < kSteps; ++i) steps = steps + torch::log(x + i);
  const auto far = x + kSteps, square = far.square();
  auto tail = torch::full_like(x, -691.0 / 360360);
  for (const double term : {1.0 / 1188, -1.0 / 1680, 1.0 / 1260, -1.0 / 360, 1.0 / 12}) {
    tail = tail / square + term;
  }
  return (far - 0.5) * far.log() - far + 0.5 * std::log(kTwoPi) + tail / far - steps;
}

/// log ∫ e^f(angle) over the circle, f of [N, 64]: equal steps are exact to rounding.
Tensor log_circle_integral(const Tensor& f) {
  return torch::logsumexp(f, 1) + std::log(kTwoPi / static_cast<double>(f.size(1)));
}
Tensor angles_around(const Tensor& like) {
  constexpr int64_t kPoints = 64;
  return kTwoPi / kPoints *
         torch::arange(kPoints, like.options().requires_grad(false)).view({1, -1});
}

}  // namespace

Tensor softmax(const Tensor& z, const Tensor& y) {
  return z.gather(1, y.unsqueeze(1)).squeeze(1) - z.exp().sum(1).log();
}

Tensor bits(const Tensor& z, const Tensor& y) {
  const auto p = 1 / (1 + torch::exp(-z));
  return (y * p.log() + (1 - y) * (1 - p).log()).sum(1);
}

Tensor class_counts(const Tensor& z, const Tensor& y) {
  const auto log_p = z - z.exp().sum(1, true).log();
  return (y * log_p - torch::lgamma(y + 1)).sum(1) + torch::lgamma(y.sum(1) + 1);
}

Tensor gaussian(const Tensor& mean, const Tensor& variance, const Tensor& y) {
  return (-(y - mean).square() / (2 * variance) - 0.5 * torch::log(kTwoPi * variance)).sum(1);
}

Tensor full_gaussian(const Tensor& mean, const Tensor& covariance, const Tensor& y) {
  const auto of = covariance.to(mean.scalar_type()), residual = y - mean;
  const auto distance = (residual.matmul(of.inverse()) * residual).sum(1);
  return -0.5 * (distance + torch::log(torch::det(kTwoPi * of)));
}

Tensor natural_gaussian(const Tensor& z, const Tensor& y) {
  const auto a = half(z, 0), b = half(z, 1);
  return (a * y + b * y.square() + a.square() / (4 * b) + 0.5 * torch::log(-b / (0.5 * kTwoPi)))
      .sum(1);
}

Tensor natural_full_gaussian(const Tensor& z, const Tensor& y) {
  const auto part = z.unbind(1), target = y.unbind(1);
  const auto &m1 = part[0], &m2 = part[1], &p11 = part[2], &p21 = part[3], &p22 = part[4];
  const auto det = p11 * p22 - p21.square();
  const auto linear = m1 * target[0] + m2 * target[1];
  const auto square =
      p11 * target[0].square() + 2 * p21 * target[0] * target[1] + p22 * target[1].square();
  const auto of_mean = (p22 * m1.square() - 2 * p21 * m1 * m2 + p11 * m2.square()) / det;
  return linear - 0.5 * square - 0.5 * of_mean + 0.5 * det.log() - std::log(kTwoPi);
}

Tensor poisson(const Tensor& z, const Tensor& y) {
  return (y * z - z.exp() - torch::lgamma(y + 1)).sum(1);
}

Tensor negative_binomial(const Tensor& log_p, double r, const Tensor& y) {
  const auto ways = torch::lgamma(y + r) - std::lgamma(r) - torch::lgamma(y + 1);
  return (ways + r * torch::log(1 - log_p.exp()) + y * log_p).sum(1);
}

Tensor exponential(const Tensor& rate, const Tensor& y) { return (rate.log() - rate * y).sum(1); }

Tensor gamma(const Tensor& z, const Tensor& y) {
  const auto shape = half(z, 0), rate = -half(z, 1);
  return (shape * rate.log() - log_gamma_by_series(shape) + (shape - 1) * y.log() - rate * y)
      .sum(1);
}

Tensor laplace(const Tensor& z, double scale, const Tensor& y) {
  return (-(y - z).abs() / scale - std::log(2 * scale)).sum(1);
}

Tensor huber(const Tensor& z, double delta, double scale, const Tensor& y) {
  const auto d = (y - z) / scale;
  const auto loss =
      torch::where(d.abs() <= delta, 0.5 * d.square(), delta * (d.abs() - 0.5 * delta));
  const double total = std::sqrt(kTwoPi) * std::erf(delta / std::numbers::sqrt2) +
                       2 / delta * std::exp(-0.5 * delta * delta);
  return (-loss - std::log(total * scale)).sum(1);
}

Tensor student_t(const Tensor& z, double nu, double scale, const Tensor& y) {
  const auto d = (y - z) / scale;
  const double constant = std::lgamma(0.5 * (nu + 1)) - std::lgamma(0.5 * nu) -
                          0.5 * std::log(nu * std::numbers::pi) - std::log(scale);
  return (constant - 0.5 * (nu + 1) * torch::log(1 + d.square() / nu)).sum(1);
}

// Both are even in y - z: with -|y - z| no exponential overflows. At y = z their slope vanishes, so
// that nothing is lost by taking the absolute value.
Tensor logistic(const Tensor& z, double scale, const Tensor& y) {
  const auto d = -((y - z) / scale).abs();
  return (d - 2 * torch::log1p(d.exp()) - std::log(scale)).sum(1);
}

Tensor sech(const Tensor& z, const Tensor& y) {
  const auto d = -(y - z).abs();
  return (d - torch::log1p(torch::exp(2 * d)) + std::log(2 / std::numbers::pi)).sum(1);
}

Tensor angle(const Tensor& z, double concentration, const Tensor& y) {
  const auto total = log_circle_integral(concentration * torch::cos(angles_around(z) - z));
  return (concentration * torch::cos(y - z)).sum(1) - total;
}

Tensor ordinal(const Tensor& z, const Tensor& y) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto thresholds =
      torch::tensor({-kInfinity, -1.0, 0.2, 1.7, kInfinity}, z.options().requires_grad(false));
  const auto label = y.detach().to(torch::kLong);
  const auto up_to = [&](const Tensor& k) { return torch::sigmoid(thresholds.index({k}) - z); };
  return torch::log(up_to(label + 1) - up_to(label)).sum(1);
}

Tensor beta(const Tensor& z, const Tensor& y) {
  const auto a = half(z, 0), b = half(z, 1);
  const auto log_b = log_gamma_by_series(a) + log_gamma_by_series(b) - log_gamma_by_series(a + b);
  return ((a - 1) * y.log() + (b - 1) * torch::log1p(-y) - log_b).sum(1);
}

Tensor von_mises(const Tensor& z, const Tensor& y) {
  const auto a = half(z, 0), b = half(z, 1), around = angles_around(z);
  const auto total = log_circle_integral(a * around.cos() + b * around.sin());
  return (a * y.cos() + b * y.sin()).sum(1) - total;
}

}  // namespace examples::densities
