#include <natgrad/likelihoods/natural_gaussian.h>
#include <torch/torch.h>

#include <numbers>

namespace natgrad {

using torch::Tensor;

NaturalGaussian::NaturalGaussian(Tensor outputs) : PairedGaussian(std::move(outputs)) {
  const auto b = split(this->outputs()).second;
  // NaN passes: of a network that has diverged, the loss tells.
  check_support(b, b.ge(0).logical_not(),
                "a NaturalGaussian's second parameter b = -1/(2σ²), the second half of z along "
                "dimension 1, is negative (let the network put out -softplus(c) - 1e-3, or take "
                "LogStdGaussian)",
                "b");
}

std::string NaturalGaussian::describe() const { return "NaturalGaussian()"; }

Tensor NaturalGaussian::mean() const {
  const auto [a, b] = split(outputs());
  return -a / (2 * b);
}

Tensor NaturalGaussian::standard_deviation() const {
  return (-2 * split(outputs()).second).rsqrt();
}

// a y + b y² + a²/(4b) = b (y - μ)², where no large terms cancel.
Tensor NaturalGaussian::compute_log_prob(const Tensor& y) const {
  const auto b = split(outputs()).second;
  return b * (y - mean()).square() + 0.5 * torch::log(-b / std::numbers::pi);
}

Tensor NaturalGaussian::compute_score(const Tensor& y) const {
  const auto mu = mean();
  return join(y - mu, (y - mu) * (y + mu) - standard_deviation().square());
}

// B (Bᵀ v).
Tensor NaturalGaussian::fisher_multiply(const Tensor& v) const {
  const auto [p, q] = split(v);
  const auto mu = mean(), sigma = standard_deviation();
  const auto factor = std::numbers::sqrt2 * sigma.square();
  return factor_multiply(join(sigma * (p + 2 * mu * q), factor * q));
}

Tensor NaturalGaussian::factor_multiply(const Tensor& r) const {
  const auto [p, q] = split(r);
  const auto mu = mean(), sigma = standard_deviation();
  return join(sigma * p, 2 * mu * sigma * p + std::numbers::sqrt2 * sigma.square() * q);
}

}  // namespace natgrad
