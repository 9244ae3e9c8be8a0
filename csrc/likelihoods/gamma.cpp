#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <torch/torch.h>

#include <limits>

#include "likelihoods/paired_outputs.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// log y - log(α/β): how far y is from the mean. Computed in double, as α multiplies it.
Tensor log_ratio_to_mean(const Tensor& y, const Tensor& alpha, const Tensor& minus_beta) {
  const auto wide = [](const Tensor& t) { return t.to(torch::kDouble); };
  return (wide(y).log() + torch::log(-wide(minus_beta)) - wide(alpha).log()).to(y.scalar_type());
}

}  // namespace

Gamma::Gamma(Tensor outputs) : Likelihood(std::move(outputs)) {
  check_paired(this->outputs(), "Gamma()");
  const auto [alpha, minus_beta] = split_outputs(this->outputs());
  // NaN passes: of a network that has diverged, the loss tells.
  check_domain(alpha, alpha.le(0).logical_not(),
               "a Gamma's shape α, the first half of z along dimension 1, is positive (let the "
               "network put out softplus(a) + 1e-3)",
               "α");
  check_domain(minus_beta, minus_beta.ge(0).logical_not(),
               "a Gamma's second parameter -β, the second half of z along dimension 1, is "
               "negative (let the network put out -softplus(b) - 1e-3)",
               "-β");
}

std::string Gamma::describe() const { return "Gamma()"; }

Tensor Gamma::align(const Tensor& per_observation) const {
  return join_outputs(per_observation, per_observation);
}

void Gamma::check_targets(const Tensor& y) const {
  auto expected = outputs().sizes().vec();
  expected[1] /= 2;
  check_shape(y, expected);
  check_support(y, y.gt(0).logical_and(y.isfinite()), "a Gamma target is positive and finite");
}

// With t = log(βy/α), log r is -α (eᵗ - 1 - t) less the excess of log Γ(α) and log y: where y is
// likely, t is small, and the terms of order α log α cancel in the former. Far from there eᵗ - 1
// would lose the digits of the second derivative, and nothing cancels in α (1 + t) - βy.
Tensor Gamma::compute_log_prob(const Tensor& y) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  const auto t = log_ratio_to_mean(y, alpha, minus_beta);
  const auto near = -alpha * (torch::expm1(t) - t), far = alpha * (1 + t) + minus_beta * y;
  return torch::where(t.abs() < 1, near, far) - log_gamma_excess(alpha) - y.log();
}

Tensor Gamma::compute_score(const Tensor& y) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  return join_outputs(log_ratio_to_mean(y, alpha, minus_beta) - digamma_excess(alpha),
                      y + alpha / minus_beta);
}

// B (Bᵀ v).
Tensor Gamma::fisher_multiply(const Tensor& v) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  const auto [p, q] = split_outputs(v);
  const auto root = alpha.sqrt();
  return factor_multiply(
      join_outputs(trigamma_excess(alpha).sqrt() * p, p / root - root / minus_beta * q));
}

Tensor Gamma::factor_multiply(const Tensor& r) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  const auto [p, q] = split_outputs(r);
  const auto root = alpha.sqrt();
  return join_outputs(trigamma_excess(alpha).sqrt() * p + q / root, -root / minus_beta * q);
}

Tensor Gamma::fisher_solve(const Tensor& v) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  const auto [p, q] = split_outputs(v);
  const auto root = alpha.sqrt(), excess = trigamma_excess(alpha), scale = -minus_beta / root;
  const auto first = (p - scale * q / root) / excess;
  return join_outputs(first, scale * (scale * q - first / root));
}

Tensor Gamma::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto [alpha, minus_beta] = split_outputs(outputs().to(torch::kDouble));
  const auto y = at::_standard_gamma(alpha.contiguous(), std::move(generator)) / -minus_beta;
  const auto dtype = outputs().scalar_type();
  const double smallest = dtype == torch::kDouble ? std::numeric_limits<double>::min()
                                                  : std::numeric_limits<float>::min();
  return y.clamp_min(smallest).to(dtype);
}

}  // namespace natgrad
