#include <natgrad/likelihoods/log_std_gaussian.h>
#include <torch/torch.h>

#include "likelihoods/divided.h"

#include <numbers>

#include "likelihoods/gaussian_pair.h"

namespace natgrad {

using torch::Tensor;

LogStdGaussian::LogStdGaussian(Tensor outputs) : Likelihood(std::move(outputs)) {
  check_gaussian_pair(this->outputs());
}

std::string LogStdGaussian::describe() const { return "LogStdGaussian()"; }

Tensor LogStdGaussian::mean() const { return split_outputs(outputs()).first; }

Tensor LogStdGaussian::standard_deviation() const { return split_outputs(outputs()).second.exp(); }

Tensor LogStdGaussian::compute_log_prob(const Tensor& y) const {
  const auto [mu, log_sigma] = split_outputs(outputs());
  const auto d = (y - mu) * torch::exp(-log_sigma);
  return -0.5 * d.square() - log_sigma - 0.5 * std::log(2 * std::numbers::pi);
}

Tensor LogStdGaussian::compute_score(const Tensor& y) const {
  const auto [mu, log_sigma] = split_outputs(outputs());
  const auto d = (y - mu) * torch::exp(-log_sigma);
  return join_outputs(d * torch::exp(-log_sigma), d.square() - 1);
}

Tensor LogStdGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  return join_outputs(torch::exp(-2 * split_outputs(outputs()).second) * p, 2 * q);
}

Tensor LogStdGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split_outputs(r);
  return join_outputs(torch::exp(-split_outputs(outputs()).second) * p, std::numbers::sqrt2 * q);
}

Tensor LogStdGaussian::fisher_solve(const Tensor& v) const {
  const auto [p, q] = split_outputs(v);
  return join_outputs(divided(p, torch::exp(-2 * split_outputs(outputs()).second)), 0.5 * q);
}

std::optional<Likelihood::OutputChange> LogStdGaussian::output_change(const Tensor& score,
                                                                      const Tensor& d) const {
  const auto [shift, growth] = split_outputs(d);
  const auto change =
      change_of_gaussian(split_outputs(score).first, shift, growth, standard_deviation().detach());
  return OutputChange{align(change.loss), align(change.reach)};
}

void LogStdGaussian::check_targets(const Tensor& y) const {
  check_real(y, targets_of_pair(outputs()), "Gaussian");
}

Tensor LogStdGaussian::align(const Tensor& per_observation) const {
  return join_outputs(per_observation, per_observation);
}

Tensor LogStdGaussian::sample(std::optional<at::Generator> generator) const {
  return sample_gaussian(mean(), standard_deviation(), std::move(generator));
}

Tensor LogStdGaussian::compute_kl(const Likelihood& other) const {
  const auto [shift, growth] = split_outputs(other.outputs() - outputs());
  return divergence_of_gaussians(shift, growth, split_outputs(other.outputs()).second);
}

}  // namespace natgrad
