#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <torch/torch.h>

#include <numbers>

namespace natgrad {

using torch::Tensor;

LogVarianceGaussian::LogVarianceGaussian(Tensor outputs) : PairedGaussian(std::move(outputs)) {}

std::string LogVarianceGaussian::describe() const { return "LogVarianceGaussian()"; }

Tensor LogVarianceGaussian::mean() const { return split(outputs()).first; }

Tensor LogVarianceGaussian::standard_deviation() const {
  return torch::exp(0.5 * split(outputs()).second);
}

Tensor LogVarianceGaussian::compute_log_prob(const Tensor& y) const {
  const auto [mu, log_variance] = split(outputs());
  const auto squared = (y - mu).square() * torch::exp(-log_variance);
  return -0.5 * (squared + log_variance + std::log(2 * std::numbers::pi));
}

Tensor LogVarianceGaussian::compute_score(const Tensor& y) const {
  const auto [mu, log_variance] = split(outputs());
  const auto scaled = (y - mu) * torch::exp(-log_variance);
  return join(scaled, 0.5 * ((y - mu) * scaled - 1));
}

Tensor LogVarianceGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split(v);
  return join(torch::exp(-split(outputs()).second) * p, 0.5 * q);
}

Tensor LogVarianceGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split(r);
  return join(torch::exp(-0.5 * split(outputs()).second) * p, std::sqrt(0.5) * q);
}

}  // namespace natgrad
