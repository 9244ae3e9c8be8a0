#include <natgrad/likelihoods/log_rate_exponential.h>
#include <torch/torch.h>

namespace natgrad {

using torch::Tensor;

LogRateExponential::LogRateExponential(Tensor log_rate) : Likelihood(std::move(log_rate)) {}

std::string LogRateExponential::describe() const { return "LogRateExponential()"; }

void LogRateExponential::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.ge(0).logical_and(y.isfinite()), "a waiting time is finite and >= 0");
}

Tensor LogRateExponential::compute_log_prob(const Tensor& y) const {
  return outputs() - y * torch::exp(outputs());
}

Tensor LogRateExponential::compute_score(const Tensor& y) const {
  return 1 - y * torch::exp(outputs());
}

Tensor LogRateExponential::fisher_multiply(const Tensor& v) const { return v.clone(); }

Tensor LogRateExponential::factor_multiply(const Tensor& r) const { return r.clone(); }

Tensor LogRateExponential::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto times = torch::empty_like(outputs()).exponential_(1, std::move(generator));
  return times * torch::exp(-outputs());
}

}  // namespace natgrad
