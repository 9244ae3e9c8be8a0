#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <torch/torch.h>

#include <limits>

#include "likelihoods/excess.h"
#include "likelihoods/paired_outputs.h"
#include "likelihoods/quadrature.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// log y - log(α/β): how far y is from the mean. Computed in double, as α multiplies it.
Tensor log_ratio_to_mean(const Tensor& y, const Tensor& alpha, const Tensor& minus_beta) {
  const auto wide = [](const Tensor& t) { return t.to(torch::kDouble); };
  return (wide(y).log() + torch::log(-wide(minus_beta)) - wide(alpha).log()).to(y.scalar_type());
}

/// The Bregman divergence E(α + d) - E(α) - E'(α) d of E = `log_gamma_excess`; for d within α/2 as
/// the integral d² ∫ (1 - s) E''(α + s d) ds, which eight nodes know to rounding.
Tensor divergence_of_excess(const Tensor& alpha, const Tensor& d) {
  const auto is_near = d.abs() < 0.5 * alpha;
  const auto step = torch::where(is_near, d, 0), jump = torch::where(is_near, 0, d);
  auto near = torch::zeros_like(alpha);
  const auto [nodes, weights] = gauss_legendre(8);
  for (size_t i = 0; i < nodes.size(); ++i) {
    near = near + weights[i] * (1 - nodes[i]) * trigamma_excess(alpha + nodes[i] * step);
  }
  const auto far =
      log_gamma_excess(alpha + jump) - log_gamma_excess(alpha) - digamma_excess(alpha) * jump;
  return torch::where(is_near, step.square() * near, far);
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

// With log Γ as x log x - x and an excess, the former joins the rates: only the ratio of the means
// is left of it, and α' (τ - log(1 + τ)) for that ratio 1 + τ.
Tensor Gamma::compute_kl(const Likelihood& other) const {
  const auto [alpha, minus_beta] = split_outputs(outputs());
  const auto [moved, moved_minus_beta] = split_outputs(other.outputs());
  const auto [growth, change] = split_outputs(other.outputs() - outputs());
  const auto tau = (change / minus_beta - growth / alpha) * alpha / moved;
  return divergence_of_excess(alpha, growth) + moved * log_shortfall(tau);
}

}  // namespace natgrad
