#include <fmt/format.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <torch/torch.h>

#include <cmath>

#include "diagnostics/explicit_matrix.h"

namespace natgrad {

using torch::Tensor;

Elementwise::Elementwise(std::string name, Map forward, Map inverse, Map slope)
    : name_(std::move(name)),
      forward_(std::move(forward)),
      inverse_(std::move(inverse)),
      slope_(std::move(slope)) {
  TORCH_CHECK_VALUE(forward_ && inverse_, "natgrad: Elementwise takes a map and its inverse.");
}

Elementwise Elementwise::exp(double origin) {
  const auto inverse = [origin](const Tensor& theta) {
    const auto lowest = theta.min().item<double>();
    TORCH_CHECK_VALUE(lowest > origin, "natgrad: θ = ", origin, " + exp(γ) takes parameters above ",
                      origin, ", but the lowest is ", lowest,
                      ". Take Elementwise::exp(origin) with an origin below all of them, or "
                      "Elementwise::sinh(), which takes any.");
    return (theta - origin).log();
  };
  return {origin == 0 ? "exp(γ)" : fmt::format("{} + exp(γ)", origin),
          [origin](const Tensor& gamma) { return gamma.exp() + origin; }, inverse,
          [](const Tensor& gamma) { return gamma.exp(); }};
}

Elementwise Elementwise::sinh(double scale) {
  TORCH_CHECK_VALUE(scale > 0 && std::isfinite(scale),
                    "natgrad: θ = s sinh(γ/s) takes a finite s > 0, but got ", scale, ".");
  return {scale == 1 ? "sinh(γ)" : fmt::format("{} sinh(γ/{})", scale, scale),
          [scale](const Tensor& gamma) { return scale * (gamma / scale).sinh(); },
          [scale](const Tensor& theta) { return scale * (theta / scale).asinh(); },
          [scale](const Tensor& gamma) { return (gamma / scale).cosh(); }};
}

Tensor Elementwise::forward(const Tensor& gamma) const { return forward_(gamma); }
Tensor Elementwise::inverse(const Tensor& theta) const { return inverse_(theta.detach()); }

Tensor Elementwise::slope_at(const Tensor& gamma) const {
  if (slope_) return slope_(gamma.detach());
  return Reparametrisation::multiply_jacobian_transposed(gamma, torch::ones_like(gamma.detach()));
}

Tensor Elementwise::multiply_jacobian(const Tensor& gamma, const Tensor& v) const {
  return slope_at(gamma) * v;
}

Tensor Elementwise::multiply_jacobian_transposed(const Tensor& gamma, const Tensor& u) const {
  return slope_at(gamma) * u;
}

double Elementwise::condition(const Tensor& gamma) const { return ratio_of(slope_at(gamma).abs()); }

}  // namespace natgrad
