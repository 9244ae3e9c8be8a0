#include <c10/util/StringUtil.h>
#include <fmt/format.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/linalg/random.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

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

/// Largest over smallest in size.
double ratio_of(const Tensor& sizes) {
  const double least = sizes.min().item<double>(), most = sizes.max().item<double>();
  return least > 0 && std::isfinite(most) ? most / least : std::numeric_limits<double>::infinity();
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

// ---- θ = A γ + b ----

Affine::Affine(Tensor A, Tensor b) : A_(std::move(A)), b_(std::move(b)) {
  const bool is_square = A_.defined() && A_.dim() == 2 && A_.size(0) == A_.size(1);
  TORCH_CHECK_VALUE(is_square || (A_.defined() && A_.dim() == 1),
                    "natgrad: an affine map has A of [P, P], or of [P] for a diagonal, but got ",
                    A_.defined() ? c10::str(A_.sizes()) : "nothing", ".");
  TORCH_CHECK_VALUE(
      !b_.defined() || (b_.sizes() == at::IntArrayRef(A_.size(0)) && b_.dtype() == A_.dtype()),
      "natgrad: an affine map has b of [", A_.size(0), "] in A's dtype, but got ", b_.sizes(),
      " in ", b_.dtype(), ".");
  A_ = A_.detach();
  const bool is_finite = A_.isfinite().all().item<bool>();
  TORCH_CHECK_VALUE(is_finite && (is_square || A_.ne(0).all().item<bool>()),
                    "natgrad: an affine map has an A of finite numbers that is invertible.");
}

Affine Affine::per_tensor(const std::vector<Tensor>& parameters,
                          const std::vector<double>& factors) {
  TORCH_CHECK_VALUE(
      parameters.size() == factors.size() && !factors.empty(),
      "natgrad: Affine::per_tensor takes a factor for each of the parameters, but got ",
      factors.size(), " for ", parameters.size(), ".");
  std::vector<Tensor> pieces;
  for (size_t k = 0; k < parameters.size(); ++k) {
    pieces.push_back(torch::full({parameters[k].numel()}, factors[k],
                                 parameters[k].options().requires_grad(false)));
  }
  return Affine(torch::cat(pieces));
}

Affine Affine::mixing(int64_t size, double condition, uint64_t seed, const Tensor& like) {
  TORCH_CHECK_VALUE(size > 0 && condition >= 1 && std::isfinite(condition),
                    "natgrad: Affine::mixing takes a size of at least 1 and a condition >= 1, but "
                    "got ",
                    size, " and ", condition, ".");
  const auto options =
      like.defined() ? like.options().requires_grad(false) : torch::TensorOptions(torch::kDouble);
  auto generator = make_generator(seed);
  const auto u = random_normal({size}, options, generator);
  // Of a bounded function of normal numbers: exponents in [-½, ½].
  const auto exponents = 0.5 * random_normal({size}, options, generator).tanh();
  Affine map((exponents * std::log(condition)).exp());
  map.reflection_ = u / u.norm();
  return map;
}

namespace {

/// (I - 2uuᵀ) v; v where there is no u.
Tensor reflected(const Tensor& u, const Tensor& v) {
  return u.defined() ? v - 2 * u.dot(v) * u : v;
}

}  // namespace

Tensor Affine::multiply_jacobian(const Tensor& /*gamma*/, const Tensor& v) const {
  TORCH_CHECK_VALUE(v.numel() == A_.size(0), "natgrad: the affine map is of ", A_.size(0),
                    " parameters, but got ", v.numel(), ".");
  return A_.dim() == 2 ? A_.mv(v) : A_ * reflected(reflection_, v);
}

Tensor Affine::multiply_jacobian_transposed(const Tensor& /*gamma*/, const Tensor& u) const {
  return A_.dim() == 2 ? A_.t().mv(u) : reflected(reflection_, A_ * u);
}

Tensor Affine::forward(const Tensor& gamma) const {
  const auto product = multiply_jacobian(gamma, gamma);
  return b_.defined() ? product + b_ : product;
}

Tensor Affine::inverse(const Tensor& theta) const {
  TORCH_CHECK_VALUE(theta.numel() == A_.size(0), "natgrad: the affine map is of ", A_.size(0),
                    " parameters, but got ", theta.numel(), ".");
  const auto centred = b_.defined() ? theta - b_ : theta;
  return A_.dim() == 2 ? torch::linalg_solve(A_, centred) : reflected(reflection_, centred / A_);
}

double Affine::condition(const Tensor& /*gamma*/) const {
  return ratio_of(A_.dim() == 2 ? torch::linalg_svdvals(A_) : A_.abs());
}

std::string Affine::describe() const {
  const auto P = A_.size(0);
  const auto kind = A_.dim() == 2           ? fmt::format("A of [{}, {}]", P, P)
                    : reflection_.defined() ? fmt::format("A = diag(d)(I - 2uuᵀ) of [{}, {}]", P, P)
                                            : fmt::format("A = diag of [{}]", P);
  return fmt::format("A γ{}, {}", b_.defined() ? " + b" : "", kind);
}

// ---- θᵢ = g(γᵢ) ----

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
