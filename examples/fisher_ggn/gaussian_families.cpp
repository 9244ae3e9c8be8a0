#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/residual_spread.h>
#include <torch/torch.h>

#include <cmath>

#include "fisher_ggn/densities.h"
#include "fisher_ggn/family_tables.h"

namespace examples {

using torch::Tensor;

namespace {

constexpr double kVariance = 0.3;
/// (y - z)² lacks the factor 1/(2σ²).
Tensor squared_error(const Tensor& z, const Tensor& y) {
  const auto sum = torch::nn::functional::MSELossFuncOptions(torch::kSum);
  return torch::nn::functional::mse_loss(z, y, sum) / (2 * kVariance * z.size(0));
}

/// z is the mean, the variance given.
Family::OfTargets around(const Tensor& variance) {
  return [=](const Tensor& z, const Tensor& y) {
    return densities::gaussian(z, variance.to(z.scalar_type()), y);
  };
}
auto line_around(const Tensor& variance) {
  return [=](const Tensor& z) { return gaussian_line(z, variance.sqrt()); };
}
auto space_around(const Tensor& covariance) {
  return [L = torch::linalg_cholesky(covariance)](const Tensor& z) {
    return gaussian_space(z, L.expand({z.size(0), L.size(0), L.size(1)}));
  };
}

/// z = (mean, a parameter of the variance).
template <class Variance>
Family::OfTargets mean_and(Variance variance) {
  return [=](const Tensor& z, const Tensor& y) {
    return densities::gaussian(first_half(z), variance(second_half(z)), y);
  };
}
template <class Variance>
auto line_of(Variance variance) {
  return [=](const Tensor& z) {
    return gaussian_line(first_half(z), variance(second_half(z)).sqrt());
  };
}

/// What is left of a Gaussian whose mean is another output.
template <class Variance>
Family::OfTargets around_zero(Variance variance) {
  return [=](const Tensor& z, const Tensor& y) {
    return densities::gaussian(torch::zeros_like(z), variance(z), y);
  };
}
template <class Variance>
auto line_around_zero(Variance variance) {
  return [=](const Tensor& z) { return gaussian_line(torch::zeros_like(z), variance(z).sqrt()); };
}

Support natural_line(const Tensor& z) {
  const auto variance = -0.5 / second_half(z);
  return gaussian_line(first_half(z) * variance, variance.sqrt());
}

/// (Σ⁻¹μ, vech Σ⁻¹) of two targets, Σ⁻¹ = L Lᵀ with L well conditioned.
Tensor with_valid_precision(const Tensor& last_layer) {
  const auto part = last_layer.unbind(1);
  const auto l11 = 1 + 0.5 * part[2].tanh(), l21 = 0.5 * part[3].tanh(),
             l22 = 1 + 0.5 * part[4].tanh();
  return torch::stack({part[0], part[1], l11.square(), l11 * l21, l21.square() + l22.square()}, 1);
}
Support natural_plane(const Tensor& z) {
  const auto wide = z.detach().to(torch::kDouble);
  const auto entries = torch::tensor({2, 3, 3, 4}, torch::kLong);
  const auto covariance = wide.index_select(1, entries).view({-1, 2, 2}).inverse();
  const auto mean = covariance.matmul(wide.narrow(1, 0, 2).unsqueeze(2)).squeeze(2);
  return gaussian_space(mean, torch::linalg_cholesky(covariance));
}

}  // namespace

std::vector<Family> gaussian_families() {
  using namespace natgrad;
  constexpr auto kNatural = Outputs::Natural, kNotNatural = Outputs::NotNatural;
  const auto one = torch::tensor({kVariance}, torch::kDouble);
  const auto two = torch::tensor({0.2, 1.5}, torch::kDouble);
  const auto covariance = torch::tensor({1.0, 0.4, 0.4, 0.5}, torch::kDouble).view({2, 2});
  const auto full = [=](const Tensor& z, const Tensor& y) {
    return densities::full_gaussian(z, covariance, y);
  };
  const auto log_std = [](const Tensor& s) { return torch::exp(2 * s); };
  const auto log_variance = [](const Tensor& v) { return torch::exp(v); };
  const auto itself = [](const Tensor& v) { return v; };
  return {
      {"Gaussian", "mean", kNatural, 2, of<Gaussian>(kVariance), around(one), line_around(one),
       any_number, squared_error},
      {"DiagonalGaussian", "mean", kNatural, 2, of<DiagonalGaussian>(two), around(two),
       line_around(two)},
      {"FullGaussian", "mean", kNatural, 2, of<FullGaussian>(covariance), full,
       space_around(covariance)},
      {"NaturalGaussian", "μ/σ², -1/(2σ²)", kNatural, 4, of<NaturalGaussian>(),
       densities::natural_gaussian, natural_line, on_second_half(below(-0.1))},
      {"NaturalFullGaussian", "Σ⁻¹μ, Σ⁻¹", kNatural, 5, of<NaturalFullGaussian>(),
       densities::natural_full_gaussian, natural_plane, with_valid_precision},
      {"LogStdGaussian", "mean, log σ", kNotNatural, 4, of<LogStdGaussian>(), mean_and(log_std),
       line_of(log_std)},
      {"LogVarianceGaussian", "mean, log σ²", kNotNatural, 4, of<LogVarianceGaussian>(),
       mean_and(log_variance), line_of(log_variance)},
      {"ResidualSpread", "log σ²", kNotNatural, 2, of<ResidualSpread>(), around_zero(log_variance),
       line_around_zero(log_variance)},
      {"ResidualSpread", "σ²", kNotNatural, 2, of<ResidualSpread>(ResidualSpread::By::Variance),
       around_zero(itself), line_around_zero(itself), above(0.5)},
  };
}

}  // namespace examples
