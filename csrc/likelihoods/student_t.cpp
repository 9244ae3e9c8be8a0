#include <fmt/format.h>
#include <natgrad/likelihoods/student_t.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "likelihoods/numerical_kl.h"

namespace natgrad {

using torch::Tensor;

namespace {

// log Γ(x + ½) - log Γ(x), from where on by its asymptotic series, whose next term is x⁻⁵/640: the
// two logarithms, of order x log x, cancel.
constexpr double kAsymptoticFrom = 200;

double log_gamma_step(double x) {
  if (x < kAsymptoticFrom) return std::lgamma(x + 0.5) - std::lgamma(x);
  return 0.5 * std::log(x) - (1 - 1 / (24 * x * x)) / (8 * x);
}

double largest(torch::ScalarType dtype) {
  return dtype == torch::kDouble ? std::numeric_limits<double>::max()
                                 : std::numeric_limits<float>::max();
}

/// d in two parts, each harmless where the other holds: d² overflows far out.
struct Distances {
  Tensor is_far, small, large;
};

Distances split(const Tensor& d) {
  constexpr double kFar = 1e4;  // beyond, 1/d² is below the rounding of float32 and near double's
  const auto is_far = d.abs() > kFar;
  return {is_far, torch::where(is_far, 0.0, d), torch::where(is_far, d, 1.0)};
}

}  // namespace

StudentT::StudentT(Tensor location, double degrees_of_freedom, double scale)
    : Likelihood(std::move(location)), freedom_(degrees_of_freedom), scale_(scale) {
  TORCH_CHECK(
      freedom_ > 0 && std::isfinite(freedom_) && scale > 0 && std::isfinite(scale),
      "natgrad: a Student-t's degrees of freedom and scale are positive and finite, but got ",
      freedom_, " and ", scale, ".");
  fisher_ = (freedom_ + 1) / (freedom_ + 3) / (scale * scale);
  log_normaliser_ = std::log(scale) + 0.5 * std::log(std::numbers::pi * freedom_) -
                    log_gamma_step(0.5 * freedom_);
}

std::string StudentT::describe() const {
  return fmt::format("StudentT(degrees_of_freedom={}, scale={})", freedom_, scale_);
}

void StudentT::check_targets(const Tensor& y) const {
  check_real(y, outputs().sizes(), "Student-t");
}

Tensor StudentT::compute_log_prob(const Tensor& y) const {
  const auto d = split((y - outputs()) / (scale_ * std::sqrt(freedom_)));
  const auto log_far = 2 * d.large.abs().log() + torch::log1p(d.large.reciprocal().square());
  const auto log_size = torch::where(d.is_far, log_far, torch::log1p(d.small.square()));
  return -0.5 * (freedom_ + 1) * log_size - log_normaliser_;
}

Tensor StudentT::compute_score(const Tensor& y) const {
  const double width = scale_ * std::sqrt(freedom_);
  const auto d = split((y - outputs()) / width);
  const auto far = (d.large + d.large.reciprocal()).reciprocal();
  return (freedom_ + 1) / width * torch::where(d.is_far, far, d.small / (1 + d.small.square()));
}

Tensor StudentT::fisher_multiply(const Tensor& v) const { return fisher_ * v; }

Tensor StudentT::factor_multiply(const Tensor& r) const { return std::sqrt(fisher_) * r; }

Tensor StudentT::fisher_solve(const Tensor& v) const { return v / fisher_; }

// A normal number by the root of a Gamma number of mean 1 and shape ν/2.
Tensor StudentT::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto normal = torch::empty_like(outputs(), torch::kDouble).normal_(0, 1, generator);
  const auto shape = torch::full_like(normal, 0.5 * freedom_);
  const auto precision = at::_standard_gamma(shape, generator) / shape;
  const double limit = largest(outputs().scalar_type());
  const auto y = outputs() + scale_ * normal / precision.sqrt();
  return y.clamp(-limit, limit).to(outputs().scalar_type());
}

Tensor StudentT::compute_kl(const Likelihood& other) const {
  const auto d = (other.outputs() - outputs()) / (scale_ * std::sqrt(freedom_));
  if (freedom_ == 1) return torch::log1p(0.25 * d.square());
  const auto log_density = [power = -0.5 * (freedom_ + 1)](const Tensor& x) {
    return power * torch::log1p(x.square());
  };
  return shift_divergence(log_density, d, {0}, kSmoothLevel, describe());
}

}  // namespace natgrad
