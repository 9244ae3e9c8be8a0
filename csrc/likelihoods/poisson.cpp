#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include <numbers>

namespace natgrad {

using torch::Tensor;

namespace {

// LibTorch's sampler rounds λ log λ at 1e-16: beyond this rate its acceptance test loses more than
// the normal limit does, whose skewness is λ^-½.
constexpr double kNormalLimit = 1e8;

// log y! - y log y + y, from where on by Stirling's series, whose next term is y⁻⁵/1260. Of three
// numbers of order y log y that cancel, in double.
constexpr double kSeries = 256;

Tensor log_factorial_excess(const Tensor& count) {
  const auto y = count.to(torch::kDouble);
  const auto few = torch::lgamma(y + 1) - torch::xlogy(y, y) + y;
  const auto n = y.clamp_min(1);
  const auto many = 0.5 * torch::log(2 * std::numbers::pi * n) + (1 - 1 / (30 * n * n)) / (12 * n);
  return torch::where(y < kSeries, few, many).to(count.scalar_type());
}

}  // namespace

Poisson::Poisson(Tensor log_rate) : Likelihood(std::move(log_rate)) {}

std::string Poisson::describe() const { return "Poisson()"; }

void Poisson::check_targets(const Tensor& y) const {
  const bool integer = y.defined() && at::isIntegralType(y.scalar_type(), /*includeBool=*/false);
  check_same_shape(integer ? y.to(outputs().scalar_type()) : y);
  check_support(y, y.ge(0).logical_and(y.isfinite()).logical_and(y.eq(y.floor())),
                "a count is a whole number >= 0");
}

// With t = z - log y, y z - e^z - log y! is -y (eᵗ - 1 - t) less the excess above: where y is
// likely, t is small, and the terms of the former, of order λ log λ, cancel. Far from there eᵗ - 1
// would lose the digits of the second derivative, and nothing cancels in y (1 + t) - e^z.
Tensor Poisson::compute_log_prob(const Tensor& targets) const {
  const auto& z = outputs();
  const auto y = targets.to(z.scalar_type());
  const auto t = z - y.clamp_min(1).log();
  const auto near = -y * (torch::expm1(t) - t), far = y * (1 + t) - torch::exp(z);
  return torch::where(t.abs().lt(1).logical_and(y > 0), near, far) - log_factorial_excess(y);
}

Tensor Poisson::compute_score(const Tensor& y) const { return y - torch::exp(outputs()); }

Tensor Poisson::fisher_multiply(const Tensor& v) const { return torch::exp(outputs()) * v; }

Tensor Poisson::factor_multiply(const Tensor& r) const { return torch::exp(0.5 * outputs()) * r; }

Tensor Poisson::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto rate = torch::exp(outputs());
  const auto counts = torch::poisson(rate.clamp_max(kNormalLimit), generator);
  const auto noise = torch::empty_like(rate).normal_(0, 1, generator);
  return torch::where(rate > kNormalLimit, torch::round(rate + rate.sqrt() * noise), counts);
}

}  // namespace natgrad
