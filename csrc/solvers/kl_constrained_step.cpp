#include <natgrad/solvers/kl_constrained_step.h>
#include <torch/torch.h>

#include <cmath>

#include "solvers/linear_system.h"

namespace natgrad {

using torch::Tensor;

namespace {

void check_arguments(const Tensor& n, const Tensor& g, double c) {
  TORCH_CHECK(c >= 0 && std::isfinite(c),
              "natgrad: the KL divergence c of a step is a finite number of nats >= 0, but is ", c,
              ".");
  TORCH_CHECK(n.dim() == 1 && n.sizes() == g.sizes() && n.scalar_type() == g.scalar_type(),
              "natgrad: the natural direction and the gradient are vectors of one length and "
              "dtype, but got ",
              n.sizes(), " in ", n.dtype(), " and ", g.sizes(), " in ", g.dtype(), ".");
}

}  // namespace

Tensor kl_constrained_step(const Tensor& natural_direction, const Tensor& gradient, double c) {
  torch::NoGradGuard no_grad;
  check_arguments(natural_direction, gradient, c);
  const double n_size = largest_entry(natural_direction), g_size = largest_entry(gradient);
  TORCH_CHECK(std::isfinite(n_size) && std::isfinite(g_size),
              "natgrad: the natural direction or the gradient has numbers that are not finite.");
  if (n_size == 0 || g_size == 0) return torch::zeros_like(natural_direction);
  // F⁻¹g and g divided by their largest entries; their inner product then stays in range.
  const auto n = natural_direction.to(torch::kDouble) / n_size;
  const double gn = (gradient.to(torch::kDouble) / g_size).dot(n).item<double>();
  TORCH_CHECK(gn > 0,
              "natgrad: the inner product of the gradient g and F⁻¹g must be positive, but ",
              gn * n_size * g_size,
              " is not. F is positive definite and the direction is F⁻¹g, not -F⁻¹g; damp a "
              "singular F.");
  const double factor = std::sqrt(2 * c / gn) * std::sqrt(n_size) / std::sqrt(g_size);
  return n.mul_(-factor).to(natural_direction.scalar_type());
}

}  // namespace natgrad
