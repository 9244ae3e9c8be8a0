#include <natgrad/likelihoods/location.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

using torch::Tensor;

Location::Location(Tensor location, NoiseDensity noise)
    : Likelihood(std::move(location)), noise_(std::move(noise)) {}

std::string Location::describe() const { return "Location(" + noise_.describe() + ")"; }

void Location::check_targets(const Tensor& y) const {
  check_real(y, outputs().sizes(), "Location");
}

Tensor Location::compute_log_prob(const Tensor& y) const { return noise_.log_prob(y - outputs()); }

Tensor Location::compute_score(const Tensor& y) const { return -noise_.slope(y - outputs()); }

Tensor Location::fisher_multiply(const Tensor& v) const { return noise_.fisher() * v; }

Tensor Location::factor_multiply(const Tensor& r) const { return std::sqrt(noise_.fisher()) * r; }

Tensor Location::fisher_solve(const Tensor& v) const { return v / noise_.fisher(); }

Tensor Location::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto uniform = torch::empty_like(outputs(), torch::kDouble).uniform_(0, 1, generator);
  return outputs() + noise_.quantile(uniform).to(outputs().scalar_type());
}

Tensor Location::compute_kl(const Likelihood& other) const {
  return noise_.divergence(other.outputs() - outputs());
}

}  // namespace natgrad
