#include <natgrad/likelihoods/log_std_gaussian.h>
#include <torch/torch.h>

#include <numbers>

namespace natgrad {

using torch::Tensor;

LogStdGaussian::LogStdGaussian(Tensor outputs) : PairedGaussian(std::move(outputs)) {}

std::string LogStdGaussian::describe() const { return "LogStdGaussian()"; }

Tensor LogStdGaussian::mean() const { return split(outputs()).first; }

Tensor LogStdGaussian::standard_deviation() const { return split(outputs()).second.exp(); }

Tensor LogStdGaussian::compute_log_prob(const Tensor& y) const {
  const auto [mu, log_sigma] = split(outputs());
  const auto d = (y - mu) * torch::exp(-log_sigma);
  return -0.5 * d.square() - log_sigma - 0.5 * std::log(2 * std::numbers::pi);
}

Tensor LogStdGaussian::compute_score(const Tensor& y) const {
  const auto [mu, log_sigma] = split(outputs());
  const auto d = (y - mu) * torch::exp(-log_sigma);
  return join(d * torch::exp(-log_sigma), d.square() - 1);
}

Tensor LogStdGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split(v);
  return join(torch::exp(-2 * split(outputs()).second) * p, 2 * q);
}

Tensor LogStdGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split(r);
  return join(torch::exp(-split(outputs()).second) * p, std::numbers::sqrt2 * q);
}

}  // namespace natgrad
