#include <fmt/format.h>
#include <natgrad/likelihoods/laplace.h>
#include <torch/torch.h>

#include <cmath>

#include "likelihoods/excess.h"

namespace natgrad {

using torch::Tensor;

Laplace::Laplace(Tensor location, double scale) : Likelihood(std::move(location)), scale_(scale) {
  TORCH_CHECK(scale > 0 && std::isfinite(scale),
              "natgrad: a Laplace's scale is positive and finite, but got ", scale, ".");
}

std::string Laplace::describe() const { return fmt::format("Laplace(scale={})", scale_); }

void Laplace::check_targets(const Tensor& y) const { check_real(y, outputs().sizes(), "Laplace"); }

Tensor Laplace::compute_log_prob(const Tensor& y) const {
  return -(y - outputs()).abs() / scale_ - std::log(2 * scale_);
}

Tensor Laplace::compute_score(const Tensor& y) const { return (y - outputs()).sign() / scale_; }

Tensor Laplace::fisher_multiply(const Tensor& v) const { return v / (scale_ * scale_); }

Tensor Laplace::factor_multiply(const Tensor& r) const { return r / scale_; }

Tensor Laplace::fisher_solve(const Tensor& v) const { return scale_ * scale_ * v; }

// An exponential distance to either side.
Tensor Laplace::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto distance = torch::empty_like(outputs()).exponential_(1, generator);
  const auto side = 2 * torch::empty_like(outputs()).bernoulli_(0.5, generator) - 1;
  return outputs() + scale_ * side * distance;
}

// `where` and not `abs`, whose second derivative at 0 would vanish.
Tensor Laplace::compute_kl(const Likelihood& other) const {
  const auto d = (other.outputs() - outputs()) / scale_;
  return exp_excess(torch::where(d > 0, -d, d));
}

}  // namespace natgrad
