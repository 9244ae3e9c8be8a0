#include <fmt/format.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include <cmath>
#include <limits>

#include "likelihoods/excess.h"
#include "likelihoods/log_sigma.h"
#include "likelihoods/longest_score.h"
#include "likelihoods/negative_binomial_log_prob.h"

namespace natgrad {

using torch::Tensor;

NegativeBinomial::NegativeBinomial(Tensor logits, double failures)
    : Likelihood(std::move(logits)), failures_(failures) {
  TORCH_CHECK(failures > 0 && std::isfinite(failures),
              "natgrad: a NegativeBinomial's number of failures r is positive and finite, but got ",
              failures, ".");
}

std::string NegativeBinomial::describe() const {
  return fmt::format("NegativeBinomial(failures={})", failures_);
}

void NegativeBinomial::check_targets(const Tensor& y) const {
  check_same_shape(as_floating_count(y, outputs()));
  check_support(y, is_count(y), "a count is a whole number >= 0");
}

Tensor NegativeBinomial::compute_log_prob(const Tensor& y) const {
  const auto z = outputs().to(torch::kDouble);
  return negative_binomial_log_prob(y.to(torch::kDouble), failures_, log_sigma(z), log_sigma(-z))
      .to(outputs().scalar_type());
}

Tensor NegativeBinomial::compute_score(const Tensor& y) const {
  return y * torch::sigmoid(-outputs()) - failures_ * torch::sigmoid(outputs());
}

Tensor NegativeBinomial::fisher_multiply(const Tensor& v) const {
  return failures_ * torch::sigmoid(outputs()) * v;
}

Tensor NegativeBinomial::factor_multiply(const Tensor& r) const {
  return torch::sqrt(failures_ * torch::sigmoid(outputs())) * r;
}

Tensor NegativeBinomial::fisher_solve(const Tensor& v) const {
  return divided(v, failures_ * torch::sigmoid(outputs()));
}

// With y = (score + r σ(z))/σ(-z) and s = softplus(z + d) - softplus(z): y (s - d) + r s, where
// s - d = log(1 + σ(-z) (e⁻ᵈ - 1)) has a factor σ(-z).
std::optional<Likelihood::OutputChange> NegativeBinomial::output_change(const Tensor& score,
                                                                        const Tensor& d) const {
  const auto z = outputs().detach();
  const auto s = log_sigma(-z) - log_sigma(-(z + d));
  const auto sigma = torch::sigmoid(-z), fall = torch::expm1(-d);
  const auto by_sigma = torch::where(sigma > 0, torch::log1p(sigma * fall) / sigma, fall);
  const auto of_targets = (score + failures_ * torch::sigmoid(z)) * by_sigma;
  return OutputChange{of_targets + failures_ * s, d.abs()};
}

Tensor NegativeBinomial::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto z = outputs().to(torch::kDouble).contiguous();
  const auto rate = at::_standard_gamma(torch::full_like(z, failures_), generator);
  const auto log_rate = z + rate.clamp_min(std::numeric_limits<double>::min()).log();
  return Poisson(log_rate).sample(generator).to(outputs().scalar_type());
}

// With w = e^d - 1, w̄ = e^-d - 1 and odds p/q, e^z log(p/p') + log(q/q') is p (w + w̄) less the
// shortfalls of two logarithms, half of it together near z.
Tensor NegativeBinomial::compute_kl(const Likelihood& other) const {
  const auto &z = outputs(), &moved = other.outputs();
  const auto p = torch::sigmoid(z), q = torch::sigmoid(-z), d = moved - z;
  const auto is_near = d.abs() < 0.5;
  const auto step = torch::where(is_near, d, 0);
  const auto up = torch::expm1(step), down = torch::expm1(-step);
  const auto of_p = torch::where(q > smallest_normal(q), log_shortfall(q * down) * p / q, 0);
  const auto near = 4 * p * torch::sinh(0.5 * step).square() - of_p - log_shortfall(p * up);
  const auto far = p / q * (log_sigma(z) - log_sigma(moved)) + log_sigma(-z) - log_sigma(-moved);
  return failures_ * torch::where(is_near, near, far);
}

}  // namespace natgrad
