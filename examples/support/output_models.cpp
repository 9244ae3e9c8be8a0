#include "support/output_models.h"

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <torch/torch.h>

namespace examples {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;

struct Softmax final : OutputModel {
  std::string name() const override { return "softmax"; }
  int64_t width() const override { return 4; }
  Tensor observed_targets(int64_t examples) const override {
    return torch::randint(width(), {examples}, torch::kLong);
  }
  Tensor loss(const Tensor& z, const Tensor& y) const override { return F::cross_entropy(z, y); }
  Tensor log_r(const Tensor& z, const Tensor& y) const override {
    return z.gather(1, y.unsqueeze(1)).squeeze(1) - z.exp().sum(1).log();
  }
  std::vector<Outcome> outcomes(const Tensor& z) const override {
    std::vector<Outcome> all;
    for (int64_t k = 0; k < width(); ++k) {
      const auto y = torch::full({z.size(0)}, k, torch::kLong);
      all.push_back({y, log_r(z, y).exp()});
    }
    return all;
  }
};

struct Bernoulli final : OutputModel {
  std::string name() const override { return "Bernoulli"; }
  int64_t width() const override { return 3; }
  Tensor observed_targets(int64_t examples) const override {
    return torch::randint(2, {examples, width()}, torch::kDouble);
  }
  // LibTorch's mean is over the outputs too; an example's loss is the sum over its outputs.
  Tensor loss(const Tensor& z, const Tensor& y) const override {
    return width() * F::binary_cross_entropy_with_logits(z, y);
  }
  Tensor log_r(const Tensor& z, const Tensor& y) const override {
    const auto p = 1 / (1 + torch::exp(-z));
    return (y * p.log() + (1 - y) * (1 - p).log()).sum(1);
  }
  std::vector<Outcome> outcomes(const Tensor& z) const override {
    const auto bits = combinations_of(torch::tensor({0.0, 1.0}, torch::kDouble), width());
    std::vector<Outcome> all;
    for (int64_t k = 0; k < bits.size(0); ++k) {
      const auto y = bits[k].expand_as(z);
      all.push_back({y, log_r(z, y).exp()});
    }
    return all;
  }
};

/// What the three Gaussian models have in common: two numbers to predict.
struct GaussianModel : OutputModel {
  static constexpr int64_t kTargets = 2;
  Tensor observed_targets(int64_t examples) const override {
    return 2 * torch::randn({examples, kTargets}, torch::kDouble);
  }
};

struct Gaussian final : GaussianModel {
  static constexpr double kVariance = 0.3;
  std::string name() const override { return "Gaussian, fixed variance"; }
  int64_t width() const override { return kTargets; }
  // mse_loss is a mean over the outputs too, and (y - z)² lacks the factor 1/(2σ²).
  Tensor loss(const Tensor& z, const Tensor& y) const override {
    return kTargets / (2 * kVariance) * F::mse_loss(z, y);
  }
  Tensor log_r(const Tensor& z, const Tensor& y) const override {
    return -(y - z).square().sum(1) / (2 * kVariance);
  }
  std::vector<Outcome> outcomes(const Tensor& z) const override {
    return gaussian_outcomes(z, torch::full_like(z, std::sqrt(kVariance)));
  }
};

struct NaturalGaussian final : GaussianModel {
  std::string name() const override { return "Gaussian, natural parameters"; }
  int64_t width() const override { return 2 * kTargets; }
  // -softplus(c) = logsigmoid(-c). LibTorch's softplus is exactly linear above its threshold of 20,
  // where its second derivative is 0 and route (d) would be wrong.
  Tensor outputs(const Tensor& last_layer) const override {
    const auto halves = last_layer.chunk(2, 1);
    return torch::cat({halves[0], torch::log_sigmoid(-halves[1]) - 0.1}, 1);
  }
  Tensor loss(const Tensor& z, const Tensor& y) const override {
    return natgrad::nll(natgrad::NaturalGaussian(z), y);
  }
  // aᵀy + bᵀy² - log Z(z): linear in z, but for the normalisation.
  Tensor log_r(const Tensor& z, const Tensor& y) const override {
    const auto a = z.chunk(2, 1)[0], b = z.chunk(2, 1)[1];
    return (a * y + b * y.square() + a.square() / (4 * b) + 0.5 * torch::log(-b)).sum(1);
  }
  std::vector<Outcome> outcomes(const Tensor& z) const override {
    const auto a = z.chunk(2, 1)[0], variance = -0.5 / z.chunk(2, 1)[1];
    return gaussian_outcomes(a * variance, variance.sqrt());
  }
};

struct LogStdGaussian final : GaussianModel {
  std::string name() const override { return "Gaussian, (mean, log σ)"; }
  int64_t width() const override { return 2 * kTargets; }
  Tensor loss(const Tensor& z, const Tensor& y) const override {
    return natgrad::nll(natgrad::LogStdGaussian(z), y);
  }
  Tensor log_r(const Tensor& z, const Tensor& y) const override {
    const auto mean = z.chunk(2, 1)[0], log_deviation = z.chunk(2, 1)[1];
    const auto variance = torch::exp(2 * log_deviation);
    return (-(y - mean).square() / (2 * variance) - log_deviation).sum(1);
  }
  std::vector<Outcome> outcomes(const Tensor& z) const override {
    return gaussian_outcomes(z.chunk(2, 1)[0], z.chunk(2, 1)[1].exp());
  }
};

}  // namespace

OutputModelPtr softmax_outputs() { return std::make_shared<Softmax>(); }
OutputModelPtr bernoulli_outputs() { return std::make_shared<Bernoulli>(); }
OutputModelPtr gaussian_outputs() { return std::make_shared<Gaussian>(); }
OutputModelPtr natural_gaussian_outputs() { return std::make_shared<NaturalGaussian>(); }
OutputModelPtr log_std_gaussian_outputs() { return std::make_shared<LogStdGaussian>(); }

}  // namespace examples
