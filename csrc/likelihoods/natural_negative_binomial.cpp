#include <fmt/format.h>
#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include <cmath>
#include <numbers>

#include "likelihoods/excess.h"
#include "likelihoods/negative_binomial_log_prob.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// log(1 - e^z), z < 0, in two branches that keep the digits of both derivatives, too.
Tensor log_one_minus_exp(const Tensor& z) {
  const double middle = -std::numbers::ln2;
  const auto near = torch::log(-torch::expm1(z.clamp_min(middle)));
  const auto far = torch::log1p(-torch::exp(z.clamp_max(middle)));
  return torch::where(z > middle, near, far);
}

}  // namespace

NaturalNegativeBinomial::NaturalNegativeBinomial(Tensor log_probability, double failures)
    : Likelihood(std::move(log_probability)), failures_(failures) {
  TORCH_CHECK(failures > 0 && std::isfinite(failures),
              "natgrad: a NaturalNegativeBinomial's number of failures r is positive and finite, "
              "but got ",
              failures, ".");
  // NaN passes: of a network that has diverged, the loss tells.
  check_domain(outputs(), outputs().ge(0).logical_not(),
               "a NaturalNegativeBinomial's output z = log p is negative (let the network put out "
               "-softplus(a) - 1e-3, or take NegativeBinomial)",
               "z");
}

std::string NaturalNegativeBinomial::describe() const {
  return fmt::format("NaturalNegativeBinomial(failures={})", failures_);
}

void NaturalNegativeBinomial::check_targets(const Tensor& y) const {
  check_same_shape(as_floating_count(y, outputs()));
  check_support(y, is_count(y), "a count is a whole number >= 0");
}

Tensor NaturalNegativeBinomial::compute_log_prob(const Tensor& y) const {
  const auto z = outputs().to(torch::kDouble);
  return negative_binomial_log_prob(y.to(torch::kDouble), failures_, z, log_one_minus_exp(z))
      .to(outputs().scalar_type());
}

Tensor NaturalNegativeBinomial::compute_score(const Tensor& y) const {
  return y - failures_ / torch::expm1(-outputs());
}

Tensor NaturalNegativeBinomial::fisher_multiply(const Tensor& v) const {
  return factor_multiply(factor_multiply(v));
}

Tensor NaturalNegativeBinomial::factor_multiply(const Tensor& r) const {
  return std::sqrt(failures_) * torch::exp(0.5 * outputs()) / -torch::expm1(outputs()) * r;
}

Tensor NaturalNegativeBinomial::fisher_solve(const Tensor& v) const {
  const auto root = std::sqrt(failures_) * torch::exp(0.5 * outputs()) / -torch::expm1(outputs());
  return divided(divided(v, root), root);
}

// Logits log p - log(1 - p).
Tensor NaturalNegativeBinomial::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto logits = outputs() - log_one_minus_exp(outputs());
  return NegativeBinomial(logits, failures_).sample(std::move(generator));
}

// With the odds c = p/q, -c d - log(1 - c (e^d - 1)): two parts, neither negative.
Tensor NaturalNegativeBinomial::compute_kl(const Likelihood& other) const {
  const auto odds = torch::expm1(-outputs()).reciprocal();
  const auto d = other.outputs() - outputs();
  return failures_ * (odds * exp_excess(d) + log_shortfall(-odds * torch::expm1(d)));
}

}  // namespace natgrad
