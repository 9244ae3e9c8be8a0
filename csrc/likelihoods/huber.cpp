#include <fmt/format.h>
#include <natgrad/likelihoods/huber.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "likelihoods/numerical_kl.h"

namespace natgrad {

using torch::Tensor;

Huber::Huber(Tensor location, double delta, double scale)
    : Likelihood(std::move(location)), delta_(delta), scale_(scale) {
  TORCH_CHECK(delta > 0 && std::isfinite(delta) && scale > 0 && std::isfinite(scale),
              "natgrad: a Huber's delta and scale are positive and finite, but got ", delta,
              " and ", scale, ".");
  const double core = std::sqrt(2 * std::numbers::pi) * std::erf(delta / std::numbers::sqrt2);
  const double tails = 2 / delta * std::exp(-0.5 * delta * delta);
  core_share_ = core / (core + tails);
  log_normaliser_ = std::log(core + tails) + std::log(scale);
}

std::string Huber::describe() const {
  return fmt::format("Huber(delta={}, scale={})", delta_, scale_);
}

void Huber::check_targets(const Tensor& y) const { check_real(y, outputs().sizes(), "Huber"); }

Tensor Huber::compute_log_prob(const Tensor& y) const {
  const auto d = (y - outputs()) / scale_;
  return -torch::huber_loss(d, torch::zeros_like(d), at::Reduction::None, delta_) - log_normaliser_;
}

Tensor Huber::compute_score(const Tensor& y) const {
  return ((y - outputs()) / scale_).clamp(-delta_, delta_) / scale_;
}

Tensor Huber::fisher_multiply(const Tensor& v) const { return core_share_ / (scale_ * scale_) * v; }

Tensor Huber::factor_multiply(const Tensor& r) const { return std::sqrt(core_share_) / scale_ * r; }

Tensor Huber::fisher_solve(const Tensor& v) const { return scale_ * scale_ / core_share_ * v; }

// With the chance κ from the normal distribution cut off at δ, by its inverse distribution
// function; else δ and an exponential distance of mean 1/δ. The uniform numbers are below 1, so
// that erfinv stays finite.
Tensor Huber::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto draws = torch::empty_like(outputs(), torch::kDouble);
  const auto uniform = [&] { return torch::empty_like(draws).uniform_(0, 1, generator); };
  const double mass = std::erf(delta_ / std::numbers::sqrt2);
  const auto core = std::numbers::sqrt2 * torch::erfinv(mass * uniform());
  const auto tail = delta_ + torch::empty_like(draws).exponential_(delta_, generator);
  const auto distance = torch::where(uniform() < core_share_, core, tail);
  const auto side = torch::where(uniform() < 0.5, -1.0, 1.0);
  return outputs() + (scale_ * side * distance).to(outputs().scalar_type());
}

Tensor Huber::compute_kl(const Likelihood& other) const {
  const auto minus_loss = [delta = delta_](const Tensor& x) {
    return -torch::huber_loss(x, torch::zeros_like(x), at::Reduction::None, delta);
  };
  return shift_divergence(minus_loss, (other.outputs() - outputs()) / scale_, {-delta_, 0, delta_},
                          kSmoothLevel, describe());
}

}  // namespace natgrad
