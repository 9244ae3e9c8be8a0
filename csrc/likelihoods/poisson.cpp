#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include "likelihoods/excess.h"
#include "likelihoods/log_factorial.h"

namespace natgrad {

using torch::Tensor;

namespace {

// LibTorch's sampler rounds λ log λ at 1e-16: beyond this rate its acceptance test loses more than
// the normal limit does, whose skewness is λ^-½.
constexpr double kNormalLimit = 1e8;

}  // namespace

Poisson::Poisson(Tensor log_rate) : Likelihood(std::move(log_rate)) {}

std::string Poisson::describe() const { return "Poisson()"; }

void Poisson::check_targets(const Tensor& y) const {
  check_same_shape(as_floating_count(y, outputs()));
  check_support(y, is_count(y), "a count is a whole number >= 0");
}

// With t = z - log y, y z - e^z - log y! is -y (eᵗ - 1 - t) less the excess above: where y is
// likely, t is small, and the terms of the former, of order λ log λ, cancel. Far from there eᵗ - 1
// would lose the digits of the second derivative, and nothing cancels in y (1 + t) - e^z.
Tensor Poisson::compute_log_prob(const Tensor& targets) const {
  const auto& z = outputs();
  const auto y = targets.to(z.scalar_type());
  const auto t = z - y.clamp_min(1).log();
  const auto near = -y * (torch::expm1(t) - t), far = y * (1 + t) - torch::exp(z);
  return torch::where(t.abs().lt(1).logical_and(y > 0), near, far) -
         log_factorial_excess(y).to(z.scalar_type());
}

Tensor Poisson::compute_score(const Tensor& y) const { return y - torch::exp(outputs()); }

Tensor Poisson::fisher_multiply(const Tensor& v) const { return torch::exp(outputs()) * v; }

Tensor Poisson::factor_multiply(const Tensor& r) const { return torch::exp(0.5 * outputs()) * r; }

Tensor Poisson::fisher_solve(const Tensor& v) const { return divided(v, torch::exp(outputs())); }

// With y = score + exp(z): exp(z + d) - exp(z) - y d.
std::optional<Likelihood::OutputChange> Poisson::output_change(const Tensor& score,
                                                               const Tensor& d) const {
  const auto rate = outputs().detach().exp();
  return OutputChange{rate * (torch::expm1(d) - d) - score * d, d.abs()};
}

Tensor Poisson::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto rate = torch::exp(outputs());
  const auto counts = torch::poisson(rate.clamp_max(kNormalLimit), generator);
  const auto noise = torch::empty_like(rate).normal_(0, 1, generator);
  return torch::where(rate > kNormalLimit, torch::round(rate + rate.sqrt() * noise), counts);
}

Tensor Poisson::compute_kl(const Likelihood& other) const {
  return torch::exp(outputs()) * exp_excess(other.outputs() - outputs());
}

}  // namespace natgrad
