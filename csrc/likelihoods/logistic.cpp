#include <fmt/format.h>
#include <natgrad/likelihoods/logistic.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

namespace natgrad {

using torch::Tensor;

Logistic::Logistic(Tensor location, double scale) : Likelihood(std::move(location)), scale_(scale) {
  TORCH_CHECK(scale > 0 && std::isfinite(scale),
              "natgrad: a Logistic's scale is positive and finite, but got ", scale, ".");
}

std::string Logistic::describe() const { return fmt::format("Logistic(scale={})", scale_); }

void Logistic::check_targets(const Tensor& y) const {
  check_real(y, outputs().sizes(), "Logistic");
}

// Even in d: by -|d|, whose exponential never overflows and keeps its digits in the second
// derivative. `where` and not `abs`, whose second derivative at 0 would vanish.
Tensor Logistic::compute_log_prob(const Tensor& y) const {
  const auto d = (y - outputs()) / scale_;
  const auto left = torch::where(d > 0, -d, d);
  return left - 2 * torch::log1p(torch::exp(left)) - std::log(scale_);
}

Tensor Logistic::compute_score(const Tensor& y) const {
  return torch::tanh((y - outputs()) / (2 * scale_)) / scale_;
}

Tensor Logistic::fisher_multiply(const Tensor& v) const { return v / (3 * scale_ * scale_); }

Tensor Logistic::factor_multiply(const Tensor& r) const {
  return r / (std::numbers::sqrt3 * scale_);
}

Tensor Logistic::fisher_solve(const Tensor& v) const { return 3 * scale_ * scale_ * v; }

// The logarithm of the ratio of two exponential numbers.
Tensor Logistic::sample(std::optional<at::Generator> generator) const {
  torch::NoGradGuard no_grad;
  const auto draws = torch::empty_like(outputs(), torch::kDouble);
  const auto exponential = [&] { return torch::empty_like(draws).exponential_(1, generator); };
  const auto above = exponential(), below = exponential();
  return outputs() + (scale_ * torch::log(above / below)).to(outputs().scalar_type());
}

// x coth x - 1 by Lambert's continued fraction x²/(3 + x²/(5 + ...)), in which nothing cancels; far
// out, where it would need more terms, as it stands.
Tensor Logistic::compute_kl(const Likelihood& other) const {
  const auto x = (other.outputs() - outputs()) / (2 * scale_);
  const auto is_near = x.abs() < 2;
  const auto square = torch::where(is_near, x, 0).square();
  auto fraction = torch::full_like(square, 27);
  for (int n = 25; n >= 3; n -= 2) fraction = n + square / fraction;
  const auto large = torch::where(is_near, 2, x);
  return 2 * torch::where(is_near, square / fraction, large / torch::tanh(large) - 1);
}

}  // namespace natgrad
