#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <cmath>

#include "diagnostics/explicit_matrix.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr int kNewtonSteps = 100;
// Of Newton's method for γ, in roundings of θ.
constexpr double kRoundingsOfInverse = 100;

Tensor leaf_at(const Tensor& gamma) { return gamma.detach().clone().requires_grad_(); }

/// The derivative of a·b where there is one, else zeros.
Tensor pulled(const Tensor& result, const Tensor& at, const Tensor& by, bool differentiable) {
  if (!result.requires_grad()) return torch::zeros_like(at);
  const auto gradient = torch::autograd::grad({result}, {at}, {by}, /*retain_graph=*/true,
                                              differentiable, /*allow_unused=*/true)[0];
  return gradient.defined() ? gradient : torch::zeros_like(at);
}

}  // namespace

Tensor Reparametrisation::multiply_jacobian_transposed(const Tensor& gamma, const Tensor& u) const {
  const torch::AutoGradMode enable_grad(true);
  const auto at = leaf_at(gamma);
  return pulled(forward(at), at, u, /*differentiable=*/false);
}

Tensor Reparametrisation::multiply_jacobian(const Tensor& gamma, const Tensor& v) const {
  // J v is the derivative by u of the linear map u ↦ Jᵀu, wherever u is: not at 0, where kinks lie.
  const torch::AutoGradMode enable_grad(true);
  const auto at = leaf_at(gamma);
  const auto theta = forward(at);
  auto generator = make_generator(0);
  const auto u = random_signs_like(theta.detach(), generator).requires_grad_();
  return pulled(pulled(theta, at, u, /*differentiable=*/true), u, v, /*differentiable=*/false);
}

Tensor jacobian_of(const Reparametrisation& g, const Tensor& gamma) {
  check_fits_matrix(gamma.numel(), "the Jacobian of " + g.describe(),
                    "Override what asks for it, `inverse` and `condition`.");
  std::vector<Tensor> columns;
  for (const auto& unit :
       torch::eye(gamma.numel(), gamma.options().requires_grad(false)).unbind()) {
    columns.push_back(g.multiply_jacobian(gamma, unit).detach());
  }
  return torch::stack(columns, 1);
}

Tensor Reparametrisation::inverse(const Tensor& theta) const {
  const torch::NoGradGuard no_grad;
  auto gamma = theta.detach().clone();
  const double rounding = kRoundingsOfInverse * rounding_of(theta.options());
  for (int k = 0; k < kNewtonSteps; ++k) {
    const auto off = forward(gamma) - theta;
    const double error = norm_in_double(off);
    if (error <= rounding * (1 + norm_in_double(theta))) return gamma;
    if (!std::isfinite(error)) break;
    gamma = gamma - std::get<0>(torch::linalg_solve_ex(jacobian_of(*this, gamma), off));
  }
  TORCH_CHECK_VALUE(false, "natgrad: Newton's method from γ = θ found no γ with g(γ) = θ for θ = ",
                    describe(), ". Override Reparametrisation::inverse.");
}

double Reparametrisation::condition(const Tensor& gamma) const {
  TORCH_CHECK_NOT_IMPLEMENTED(gamma.numel() <= kLargestMatrix,
                              "natgrad: whether the Jacobian of θ = ", describe(),
                              " is invertible is not known for more than ", kLargestMatrix,
                              " parameters. Override Reparametrisation::condition.");
  return ratio_of(torch::linalg_svdvals(jacobian_of(*this, gamma)));
}

}  // namespace natgrad
