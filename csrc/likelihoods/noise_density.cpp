#include <natgrad/likelihoods/noise_density.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "likelihoods/differentiate.h"
#include "likelihoods/fixed_tensor.h"
#include "likelihoods/inverse_distribution.h"
#include "likelihoods/numerical_kl.h"

namespace natgrad {

using torch::Tensor;

namespace {

const std::string kNoise = "NoiseDensity: the density of y - z";
// Draws are from a density that is linear between steps of 1/256 in the rule's variable.
constexpr int kTableLevel = 8;
// |E[score]| by the score's standard deviation; the quadrature's five digits, with room.
constexpr double kMeanScore = 1e-4;

/// At z = 0, where y - z is the noise itself.
LogDensity at_residual(const NoiseDensity::Function& f) {
  return [f](const Tensor& y, const Tensor& z) { return f(y - z); };
}

Tensor origin() { return torch::zeros({1}, torch::kDouble); }

void check_mean_score(const NumericalDensity& density) {
  const double mean = density.mean_score().item<double>();
  const double size = std::sqrt(density.fisher().item<double>());
  TORCH_CHECK_VALUE(std::abs(mean) <= kMeanScore * size,
                    "natgrad: NoiseDensity: the derivative of the density has the integral ", -mean,
                    " instead of 0: the density jumps, and has no Fisher information. Make it "
                    "continuous.");
}

}  // namespace

NoiseDensity::NoiseDensity(Function log_density, std::vector<double> kinks) {
  TORCH_CHECK(log_density, "natgrad: a NoiseDensity needs a function, but got none.");
  check_fixed(log_density(origin() + 1), "the logarithm of a noise's density");
  const auto domain = Domain::real_line(kinks);
  const auto f = at_residual(log_density);
  const auto [level, density] = converge(f, origin(), domain, kNoise);
  check_mean_score(density);
  const auto table = evaluate(f, origin(), domain, std::max(level, kTableLevel), kNoise);
  state_ = std::make_shared<const State>(
      State{std::move(log_density), domain.kinks, level, density.fisher().item<double>(),
            density.log_normaliser.item<double>(),
            std::make_shared<const InverseDistribution>(table, domain),
            fingerprint(density.probabilities)});
}

Tensor NoiseDensity::log_prob(const Tensor& x) const {
  const auto value = state_->log_density(x);
  TORCH_CHECK(value.sizes() == x.sizes(), "natgrad: a noise's density is elementwise, but gave ",
              value.sizes(), " for ", x.sizes(), ".");
  return value - log_normaliser();
}

Tensor NoiseDensity::slope(const Tensor& x) const {
  return differentiate(state_->log_density, x).first;
}

Tensor NoiseDensity::quantile(const Tensor& uniform) const {
  const auto x = (*state_->inverse)(uniform.to(torch::kCPU).reshape({1, -1}));
  return x.view(uniform.sizes()).to(uniform.device());
}

bool NoiseDensity::is_gaussian() const {
  return hessian_is_fisher(at_residual(state_->log_density), origin(),
                           Domain::real_line(state_->kinks), state_->level, kNoise);
}

Tensor NoiseDensity::divergence(const Tensor& d) const {
  return shift_divergence(state_->log_density, d, state_->kinks, state_->level, kNoise);
}

}  // namespace natgrad
