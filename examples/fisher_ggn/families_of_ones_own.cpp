#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <natgrad/likelihoods/exponential_family.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/independent_product.h>
#include <natgrad/likelihoods/log_gamma.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/poisson.h>
#include <torch/torch.h>

#include <cmath>
#include <numbers>

#include "fisher_ggn/densities.h"
#include "fisher_ggn/family_tables.h"

namespace examples {

using natgrad::Domain, natgrad::ExponentialFamilyOptions;
using torch::Tensor;

namespace {

/// z = (α, β), T = (log y, log(1 - y)).
ExponentialFamilyOptions beta_options() {
  const auto statistics = [](const Tensor& y) {
    return torch::cat({y.log(), torch::log1p(-y)}, 1);
  };
  const auto log_partition = [](const Tensor& z) {
    return natgrad::log_gamma(z).sum(1) - natgrad::log_gamma(z.sum(1));
  };
  const auto sampler = [](const Tensor& z, const std::optional<at::Generator>& generator) {
    const auto x = at::_standard_gamma(z.contiguous(), generator);
    return x.narrow(1, 0, 1) / x.sum(1, true);
  };
  return ExponentialFamilyOptions("Beta")
      .statistics(statistics)
      .log_partition(log_partition)
      .log_base_measure([statistics](const Tensor& y) { return -statistics(y).sum(1); })
      .sampler(sampler);
}

/// z = κ (cos μ, sin μ), T = (cos y, sin y), log Z = log 2π I₀(κ).
ExponentialFamilyOptions von_mises_options() {
  const auto log_partition = [](const Tensor& z) {
    const auto kappa = z.square().sum(1).sqrt();
    return torch::log(2 * std::numbers::pi * torch::special_i0e(kappa)) + kappa;
  };
  // Targets for an example need no exact draws: any angles will do.
  const auto sampler = [](const Tensor& z, const std::optional<at::Generator>& generator) {
    return 2 * std::numbers::pi * torch::rand({z.size(0), 1}, generator, z.options());
  };
  return ExponentialFamilyOptions("von Mises")
      .statistics([](const Tensor& y) {
        return torch::cat({y.cos(), y.sin()}, 1);
      })
      .log_partition(log_partition)
      .sampler(sampler);
}

Support unit_interval(const Tensor& z) {
  const auto zero = torch::zeros({z.size(0), 1}, torch::kDouble);
  return interval(zero, zero + 1);
}
constexpr double kTurnStart = -3;
Support turn(const Tensor& z) { return circle(kTurnStart, z.size(0)); }

// Losses of a target and an output each.
constexpr double kConcentration = 2;
Tensor half_squared_difference(const Tensor& y, const Tensor& z) { return 0.5 * (y - z).square(); }
Tensor minus_cosine(const Tensor& y, const Tensor& z) {
  return -kConcentration * torch::cos(y - z);
}
Tensor label_loss(const Tensor& y, const Tensor& z) {
  const auto rows = [](const Tensor& t) { return t.reshape({-1, 1}); };
  return -densities::ordinal(rows(z), rows(y)).view_as(z);
}

Tensor angle_around(const Tensor& z, const Tensor& y) {
  return densities::angle(z, kConcentration, y);
}
Tensor standard_around(const Tensor& z, const Tensor& y) {
  return densities::gaussian(z, torch::ones_like(z), y);
}
Support standard_line(const Tensor& z) { return gaussian_line(z, torch::ones_like(z)); }

// Two columns, independent of each other.
constexpr double kMeanVariance = 0.25;
Tensor mean_and_count(const Tensor& z, const Tensor& y) {
  const auto variance = torch::full_like(z.narrow(1, 0, 1), kMeanVariance);
  return densities::gaussian(z.narrow(1, 0, 1), variance, y.narrow(1, 0, 1)) +
         densities::poisson(z.narrow(1, 1, 1), y.narrow(1, 1, 1));
}
Support means_and_counts(const Tensor& z) {
  const auto mean = z.narrow(1, 0, 1);
  return product(gaussian_line(mean, torch::full_like(mean, std::sqrt(kMeanVariance))),
                 all_values(counts_up_to(kManyCounts), z.size(0)));
}
Tensor bit_and_location(const Tensor& z, const Tensor& y) {
  return densities::bits(z.narrow(1, 0, 1), y.narrow(1, 0, 1)) +
         densities::logistic(z.narrow(1, 1, 1), 1, y.narrow(1, 1, 1));
}
Support bits_and_locations(const Tensor& z) {
  return product(all_values(counts_up_to(1), z.size(0)), real_line(z.narrow(1, 1, 1)));
}

}  // namespace

std::vector<Family> families_of_ones_own() {
  using namespace natgrad;
  constexpr auto kNatural = Outputs::Natural, kNotNatural = Outputs::NotNatural;
  using Parts = std::vector<IndependentProduct::Part>;
  const Parts gaussian_and_poisson{{1, likelihood_of<natgrad::Gaussian>(kMeanVariance)},
                                   {1, likelihood_of<Poisson>()}};
  const Parts bernoulli_and_logistic{{1, likelihood_of<Bernoulli>()},
                                     {1, likelihood_of<Logistic>()}};
  const auto labels = torch::arange(4, torch::kDouble).unsqueeze(1);
  const auto whole_turn = Domain::interval(kTurnStart, kTurnStart + 2 * std::numbers::pi);
  return {
      {"IndependentProduct", "mean; log-rate", kNatural, 2,
       of<IndependentProduct>(gaussian_and_poisson), mean_and_count, means_and_counts,
       on_second_half(within(0, 2))},
      {"IndependentProduct", "logit; location", kNotNatural, 2,
       of<IndependentProduct>(bernoulli_and_logistic), bit_and_location, bits_and_locations},
      {"ExponentialFamily", "Beta: α, β", kNatural, 2, of<ExponentialFamily>(beta_options()),
       densities::beta, unit_interval, above(1.5)},
      {"ExponentialFamily", "von Mises: κ(cos μ, sin μ)", kNatural, 2,
       of<ExponentialFamily>(von_mises_options()), densities::von_mises, turn, within(0, 3)},
      {"ExpLoss", "½(y - z)²: mean", kNatural, 2, of<ExpLoss>(half_squared_difference),
       standard_around, standard_line},
      {"ExpLoss", "ordered labels: score", kNotNatural, 1,
       of<ExpLoss>(label_loss, Domain::values({0, 1, 2, 3})), densities::ordinal, each_of(labels)},
      {"ExpLoss", "-2 cos(y - z): angle", kNotNatural, 1, of<ExpLoss>(minus_cosine, whole_turn),
       angle_around, turn},
  };
}

}  // namespace examples
