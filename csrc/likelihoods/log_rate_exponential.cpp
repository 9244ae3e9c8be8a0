#include <natgrad/likelihoods/log_rate_exponential.h>
#include <torch/torch.h>

#include <limits>

#include "likelihoods/excess.h"

namespace natgrad {

using torch::Tensor;

LogRateExponential::LogRateExponential(Tensor log_rate) : Likelihood(std::move(log_rate)) {}

std::string LogRateExponential::describe() const { return "LogRateExponential()"; }

void LogRateExponential::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.ge(0).logical_and(y.isfinite()), "a waiting time is finite and >= 0");
}

/// y e^z, where e^z alone may overflow.
Tensor LogRateExponential::scaled(const Tensor& y) const {
  const auto root = torch::exp(0.5 * outputs());
  return y * root * root;
}

Tensor LogRateExponential::compute_log_prob(const Tensor& y) const { return outputs() - scaled(y); }

Tensor LogRateExponential::compute_score(const Tensor& y) const { return 1 - scaled(y); }

Tensor LogRateExponential::fisher_multiply(const Tensor& v) const { return v.clone(); }

Tensor LogRateExponential::factor_multiply(const Tensor& r) const { return r.clone(); }

Tensor LogRateExponential::fisher_solve(const Tensor& v) const { return v.clone(); }

// With y exp(z) = 1 - score: y exp(z + d) - y exp(z) - d.
std::optional<Likelihood::OutputChange> LogRateExponential::output_change(const Tensor& score,
                                                                          const Tensor& d) const {
  return OutputChange{(1 - score) * torch::expm1(d) - d, d.abs()};
}

Tensor LogRateExponential::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto times = torch::empty_like(outputs()).exponential_(1, std::move(generator));
  const double largest = outputs().scalar_type() == torch::kDouble
                             ? std::numeric_limits<double>::max()
                             : std::numeric_limits<float>::max();
  return (times * torch::exp(-outputs())).clamp_max(largest);
}

Tensor LogRateExponential::compute_kl(const Likelihood& other) const {
  return exp_excess(other.outputs() - outputs());
}

}  // namespace natgrad
