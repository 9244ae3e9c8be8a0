#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include <numbers>

#include "likelihoods/gaussian_pair.h"

namespace natgrad {

using torch::Tensor;

LogVarianceGaussian::LogVarianceGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  check_gaussian_pair(this->outputs());
}

std::string LogVarianceGaussian::describe() const { return "LogVarianceGaussian()"; }

Tensor LogVarianceGaussian::mean() const { return split_outputs(outputs()).first; }

Tensor LogVarianceGaussian::standard_deviation() const {
  return torch::exp(0.5 * split_outputs(outputs()).second);
}

Tensor LogVarianceGaussian::compute_log_prob(const Tensor& y) const {
  const auto [mu, log_variance] = split_outputs(outputs());
  const auto squared = (y - mu).square() * torch::exp(-log_variance);
  return -0.5 * (squared + log_variance + std::log(2 * std::numbers::pi));
}

Tensor LogVarianceGaussian::compute_score(const Tensor& y) const {
  const auto [mu, log_variance] = split_outputs(outputs());
  const auto scaled = (y - mu) * torch::exp(-log_variance);
  return join_outputs(scaled, 0.5 * ((y - mu) * scaled - 1));
}

Tensor LogVarianceGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  return join_outputs(torch::exp(-split_outputs(outputs()).second) * p, 0.5 * q);
}

Tensor LogVarianceGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split_outputs(r);
  return join_outputs(torch::exp(-0.5 * split_outputs(outputs()).second) * p, std::sqrt(0.5) * q);
}

Tensor LogVarianceGaussian::fisher_solve(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  return join_outputs(divided(p, torch::exp(-split_outputs(outputs()).second)), 2 * q);
}

std::optional<Likelihood::OutputChange> LogVarianceGaussian::output_change(const Tensor& score,
                                                                           const Tensor& d) const {
  const auto [shift, growth] = split_outputs(d);
  const auto change = change_of_gaussian(split_outputs(score).first, shift, 0.5 * growth,
                                         standard_deviation().detach());
  return OutputChange{align(change.loss), align(change.reach)};
}

void LogVarianceGaussian::check_targets(const Tensor& y) const {
  check_real(y, targets_of_pair(outputs()), "Gaussian");
}

Tensor LogVarianceGaussian::align(const Tensor& per_observation) const {
  return join_outputs(per_observation, per_observation);
}

Tensor LogVarianceGaussian::sample(std::optional<at::Generator> generator) const {
  return sample_gaussian(mean(), standard_deviation(), std::move(generator));
}

Tensor LogVarianceGaussian::compute_kl(const Likelihood& other) const {
  const auto [shift, growth] = split_outputs(other.outputs() - outputs());
  return divergence_of_gaussians(shift, 0.5 * growth, 0.5 * split_outputs(other.outputs()).second);
}

}  // namespace natgrad
