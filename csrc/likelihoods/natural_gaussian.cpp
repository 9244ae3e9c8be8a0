#include <natgrad/likelihoods/natural_gaussian.h>
#include <torch/torch.h>

#include <numbers>

#include "likelihoods/excess.h"
#include "likelihoods/gaussian_pair.h"

namespace natgrad {

using torch::Tensor;

NaturalGaussian::NaturalGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  check_gaussian_pair(this->outputs());
  const auto b = split_outputs(this->outputs()).second;
  // NaN passes: of a network that has diverged, the loss tells.
  check_domain(b, b.ge(0).logical_not(),
               "a NaturalGaussian's second parameter b = -1/(2σ²), the second half of z along "
               "dimension 1, is negative (let the network put out -softplus(c) - 1e-3, or take "
               "LogStdGaussian)",
               "b");
}

std::string NaturalGaussian::describe() const { return "NaturalGaussian()"; }

Tensor NaturalGaussian::mean() const {
  const auto [a, b] = split_outputs(outputs());
  return -a / (2 * b);
}

Tensor NaturalGaussian::standard_deviation() const {
  return (-2 * split_outputs(outputs()).second).rsqrt();
}

// a y + b y² + a²/(4b) = b (y - μ)², where no large terms cancel.
Tensor NaturalGaussian::compute_log_prob(const Tensor& y) const {
  const auto b = split_outputs(outputs()).second;
  return b * (y - mean()).square() + 0.5 * torch::log(-b / std::numbers::pi);
}

Tensor NaturalGaussian::compute_score(const Tensor& y) const {
  const auto mu = mean();
  return join_outputs(y - mu, (y - mu) * (y + mu) - standard_deviation().square());
}

// B (Bᵀ v).
Tensor NaturalGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  const auto mu = mean(), sigma = standard_deviation();
  const auto factor = std::numbers::sqrt2 * sigma.square();
  return factor_multiply(join_outputs(sigma * (p + 2 * mu * q), factor * q));
}

Tensor NaturalGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split_outputs(r);
  const auto mu = mean(), sigma = standard_deviation();
  return join_outputs(sigma * p, 2 * mu * sigma * p + std::numbers::sqrt2 * sigma.square() * q);
}

Tensor NaturalGaussian::fisher_solve(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  const auto mu = mean(), variance = standard_deviation().square();
  const auto second = (q - 2 * mu * p) / variance / (2 * variance);
  return join_outputs(p / variance - 2 * mu * second, second);
}

void NaturalGaussian::check_targets(const Tensor& y) const {
  check_real(y, targets_of_pair(outputs()), "Gaussian");
}

Tensor NaturalGaussian::align(const Tensor& per_observation) const {
  return join_outputs(per_observation, per_observation);
}

Tensor NaturalGaussian::sample(std::optional<at::Generator> generator) const {
  return sample_gaussian(mean(), standard_deviation(), std::move(generator));
}

// With d = (α, β), μ' - μ = -(α + 2μβ)/(2b'): no means are subtracted.
Tensor NaturalGaussian::compute_kl(const Likelihood& other) const {
  const auto b = split_outputs(outputs()).second, moved = split_outputs(other.outputs()).second;
  const auto [alpha, beta] = split_outputs(other.outputs() - outputs());
  return 0.5 * log_shortfall(beta / b) - (alpha + 2 * mean() * beta).square() / (4 * moved);
}

}  // namespace natgrad
