#include <natgrad/likelihoods/exponential.h>
#include <torch/torch.h>

#include "likelihoods/excess.h"

namespace natgrad {

using torch::Tensor;

Exponential::Exponential(Tensor minus_rate) : Likelihood(std::move(minus_rate)) {
  // NaN passes: of a network that has diverged, the loss tells.
  check_domain(outputs(), outputs().ge(0).logical_not(),
               "an Exponential's output z = -rate is negative", "z");
}

std::string Exponential::describe() const { return "Exponential()"; }

void Exponential::check_targets(const Tensor& y) const {
  check_same_shape(y);
  check_support(y, y.ge(0).logical_and(y.isfinite()), "a waiting time is finite and >= 0");
}

Tensor Exponential::compute_log_prob(const Tensor& y) const {
  return y * outputs() + torch::log(-outputs());
}

Tensor Exponential::compute_score(const Tensor& y) const { return y + outputs().reciprocal(); }

Tensor Exponential::fisher_multiply(const Tensor& v) const { return v / outputs() / outputs(); }

Tensor Exponential::factor_multiply(const Tensor& r) const { return r / -outputs(); }

Tensor Exponential::fisher_solve(const Tensor& v) const { return v * outputs() * outputs(); }

Tensor Exponential::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  return torch::empty_like(outputs()).exponential_(1, std::move(generator)) / -outputs();
}

Tensor Exponential::compute_kl(const Likelihood& other) const {
  return log_shortfall((other.outputs() - outputs()) / outputs());
}

}  // namespace natgrad
