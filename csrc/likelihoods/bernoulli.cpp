#include <natgrad/likelihoods/bernoulli.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include "likelihoods/excess.h"
#include "likelihoods/log_sigma.h"

namespace natgrad {

using torch::Tensor;

Bernoulli::Bernoulli(Tensor logits) : Likelihood(std::move(logits)) {}

std::string Bernoulli::describe() const { return "Bernoulli()"; }

void Bernoulli::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.ge(0).logical_and(y.le(1)), "a binary target lies in [0, 1]");
}

// In this form no large terms cancel.
Tensor Bernoulli::compute_log_prob(const Tensor& y) const {
  return y * log_sigma(outputs()) + (1 - y) * log_sigma(-outputs());
}

// y - σ(z) as y σ(-z) - (1 - y) σ(z), which keeps its digits where σ(z) rounds to 1.
Tensor Bernoulli::compute_score(const Tensor& y) const {
  return y * torch::sigmoid(-outputs()) - (1 - y) * torch::sigmoid(outputs());
}

const Tensor& Bernoulli::variance() const {
  return variance_.get(outputs(),
                       [z = outputs().detach()] { return torch::sigmoid(z) * torch::sigmoid(-z); });
}

Tensor Bernoulli::fisher_multiply(const Tensor& v) const { return variance() * v; }

Tensor Bernoulli::factor_multiply(const Tensor& r) const { return variance().sqrt() * r; }

Tensor Bernoulli::fisher_solve(const Tensor& v) const { return divided(v, variance()); }

// With y = score + σ(z): softplus(z + d) - softplus(z) - y d.
std::optional<Likelihood::OutputChange> Bernoulli::output_change(const Tensor& score,
                                                                 const Tensor& d) const {
  const auto z = outputs().detach();
  const auto bent = log_sigma(-z) - log_sigma(-(z + d)) - torch::sigmoid(z) * d;
  return OutputChange{bent - score * d, d.abs()};
}

std::optional<Tensor> Bernoulli::target_covariance_multiply(const Tensor& mean_score,
                                                            const Tensor& v) const {
  const auto q = (mean_score + torch::sigmoid(outputs().detach())).clamp(0, 1);
  return q * (1 - q) * v;
}

Tensor Bernoulli::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  return torch::bernoulli(torch::sigmoid(outputs()), std::move(generator));
}

// On the side of the rarer outcome, p ≤ ½. Near z, log(1 - p + p e^d) - p d is p (e^d - 1 - d) less
// p (e^d - 1) - log(1 + p (e^d - 1)): half of the former at most.
Tensor Bernoulli::compute_kl(const Likelihood& other) const {
  const auto is_right = outputs() > 0;
  const auto z = torch::where(is_right, -outputs(), outputs());
  const auto moved = torch::where(is_right, -other.outputs(), other.outputs());
  const auto p = torch::sigmoid(z), d = change_of(z, moved);
  const auto is_near = d.abs() < 1, known = d.isfinite();
  const auto step = torch::where(is_near, d, 0);
  const auto near = p * exp_excess(step) - log_shortfall(p * torch::expm1(step));
  const auto far = log_sigma(-z) - log_sigma(-moved) - p * torch::where(known, d, 0);
  return torch::where(is_near, near, far);
}

}  // namespace natgrad
