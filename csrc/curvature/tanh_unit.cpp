#include <natgrad/curvature/tanh_unit.h>
#include <torch/torch.h>
#include "linalg/norm.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace natgrad {

using torch::Tensor;

namespace {

/// e at which -e²/2 - 4 |a e + b| is largest, near the top of N(e) sech⁴(a e + b).
double top_of_integrand(double a, double b) {
  return 4 * a * a <= std::abs(b) ? (b > 0 ? -4 * a : 4 * a) : -b / a;
}

/// By the trapezoidal rule, which converges geometrically for an integrand that is analytic in a
/// strip (Trefethen & Weideman 2014): that of sech(a e + b) is π/(2a) wide on either side. The
/// integrand's logarithm is concave, and at least as steep as that of N(e).
TanhUnit::Moments moments_of(double a, double b) {
  constexpr double kReach = 10;                     // N(10)/N(0) = 2e-22
  constexpr double kReachOfSech = 24;               // the same of e^{-2|t|}
  constexpr double kStep = 0.4, kStepOfSech = 0.2;  // errors of e^{-2π²/h²} and e^{-π²/h}
  const bool narrow = std::abs(b) <= 2 * a * a;
  const double reach = narrow ? std::min(kReach, kReachOfSech / a) : kReach;
  const double step = a > 0 ? std::min(kStep, kStepOfSech / a) : kStep;
  const auto nodes = static_cast<int64_t>(2 * reach / step) + 1;
  const auto e = top_of_integrand(a, b) + step * (torch::arange(nodes, torch::kDouble) -
                                                  0.5 * static_cast<double>(nodes - 1));
  const auto decay = (-2 * (a * e + b).abs()).exp();
  const auto sech_squared = 4 * decay / (1 + decay).square();
  const auto density = (-0.5 * e.square()).exp() * (step / std::sqrt(2 * std::numbers::pi));
  const auto weights = density * sech_squared.square();
  const double mass = weights.sum().item<double>();
  if (mass == 0) return {0, 0, 0};
  const double mean = (weights * e).sum().item<double>() / mass;
  return {mass, mean, (weights * (e - mean).square()).sum().item<double>() / mass};
}

void check(const Tensor& weights, double noise, double bias) {
  TORCH_CHECK(weights.defined() && weights.dim() == 1 && weights.is_floating_point(),
              "natgrad: a tanh unit's weights are a floating-point vector of [n], but got ",
              weights.defined() ? c10::str(weights.scalar_type(), " of shape ", weights.sizes())
                                : "an undefined tensor",
              "; view(-1) a row of a Linear's weight.");
  TORCH_CHECK(weights.isfinite().all().item<bool>() && std::isfinite(bias),
              "natgrad: a tanh unit's weights and bias are finite, but some are not.");
  TORCH_CHECK(noise > 0 && std::isfinite(noise),
              "natgrad: a tanh unit's noise is a standard deviation > 0, but is ", noise, ".");
}

}  // namespace

TanhUnit::TanhUnit(Tensor weights, double noise, std::optional<double> bias)
    : noise_(noise), has_bias_(bias.has_value()) {
  torch::NoGradGuard no_grad;
  check(weights, noise, bias.value_or(0));
  const double length = norm_in_double(weights);
  direction_ = length > 0 ? weights / length : torch::zeros_like(weights);
  direction_ = direction_.detach();
  moments_ = moments_of(length, bias.value_or(0));
}

/// v ↦ `across` times what of v lies across u, and the matrix `along` on its part along u and, with
/// a bias, on its last element.
LinearOperator TanhUnit::along_and_across(const std::string& name, double across,
                                          const Tensor& along) const {
  const int64_t n = direction_.numel();
  const auto u = direction_, block = along.to(direction_.options());
  return {name, n + (has_bias_ ? 1 : 0), u.options(), [=](const Tensor& v) {
            const auto w = v.narrow(0, 0, n), rest = v.narrow(0, n, v.size(0) - n);
            const auto s = u.dot(w);
            const auto image = block.mv(torch::cat({s.view(1), rest}));
            const auto in_weights = across * w + (image[0] - across * s) * u;
            return torch::cat({in_weights, image.narrow(0, 1, rest.numel())});
          }};
}

LinearOperator TanhUnit::fisher() const {
  const auto [mass, mean, variance] = moments_;
  const double c = mass / (noise_ * noise_), m2 = variance + mean * mean;
  const auto along = has_bias_ ? torch::tensor({{m2, mean}, {mean, 1.0}}, torch::kDouble)
                               : torch::tensor({{m2}}, torch::kDouble);
  return along_and_across("Fisher matrix of a tanh unit", c, c * along);
}

LinearOperator TanhUnit::inverse() const {
  const auto [mass, mean, variance] = moments_;
  const double c = noise_ * noise_ / mass, m2 = variance + mean * mean;
  TORCH_CHECK(mass > 0 && std::isfinite(c / variance),
              "natgrad: the Fisher matrix of this tanh unit is zero to rounding: it is saturated "
              "for all inputs. Its bias should be of the size of its weights.");
  // The determinant of [[m₂, m₁], [m₁, m₀]] / m₀² is the variance.
  const auto along = has_bias_
                         ? torch::tensor({{1.0, -mean}, {-mean, m2}}, torch::kDouble) / variance
                         : torch::tensor({{1 / m2}}, torch::kDouble);
  return along_and_across("inverse Fisher matrix of a tanh unit", c, c * along);
}

}  // namespace natgrad
