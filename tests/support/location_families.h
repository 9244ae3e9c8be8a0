#pragma once

// The table's part of location families, losses exponentiated, and products of families.

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/exp_loss.h>
#include <natgrad/likelihoods/exp_loss_over_labels.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/independent_product.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/location.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/likelihoods/student_t.h>

#include "support/likelihood_family.h"
#include "support/user_losses.h"

namespace natgrad::testing {

/// By functions of the residual. Made once: every case evaluates them.
inline const std::vector<LikelihoodFamily>& noise_families() {
  constexpr double kDelta = 0.7;
  const NoiseDensity gaussian(half_square), laplace(minus_absolute), sech(minus_log_cosh),
      huber(minus_huber(kDelta), {-kDelta, 0, kDelta}), cauchy(minus_log_cauchy);
  const auto cauchy_line = [](const Tensor& z) { return line_with_algebraic_tails(z, 1); };
  static const std::vector<LikelihoodFamily> families{
      {"LocationGaussian", of<Location>(gaussian), gaussian_line(1), {{5}, {2, 2}, {}}},
      {"LocationLaplace", of<Location>(laplace), tails(0, 1), {{4}}, any_number, false, false},
      {"LocationHuber", of<Location>(huber), tails(kDelta, kDelta), {{4}}},
      {"LocationSech", of<Location>(sech), sech_line, {{3, 2}}},
      {"LocationCauchy", of<Location>(cauchy), cauchy_line, {{4}}},
  };
  return families;
}

/// By losses of a target and an output.
inline std::vector<LikelihoodFamily> loss_families() {
  const auto labels = [](const Tensor& z) { return enumerate_values(z, {0, 1, 2, 3}); };
  const auto label_domain = Domain::values({0, 1, 2, 3});
  const auto turn = Domain::interval(-3, 2 * std::numbers::pi - 3);
  const auto power = [](const Tensor& y, const Tensor& z) { return (y - z).abs().pow(1.5); };
  return {
      {"ExpLossSquare", of<ExpLoss>(square_loss), gaussian_line(1), {{4}, {}}},
      {"ExpLossPower", of<ExpLoss>(power), line_of_roots, {{3}}},
      {"ExpLossOrdinal", of<ExpLoss>(ordinal_loss, label_domain), labels, {{5}, {3, 2}, {}}},
      {"ExpLossCircular", of<ExpLoss>(circular_loss, turn), circle, {{4}}},
      {"ExpLossOverClasses", of<ExpLossOverLabels>(softmax_loss, 3), classes(1), {{4, 3}}},
      {"ExpLossOverLabels",
       of<ExpLossOverLabels>(mixed_loss, 4),
       [](const Tensor& z) {
         return enumerate_classes(z.narrow(1, 0, 1).expand({-1, 4}), 1);
       },
       {{3, 2}}},
  };
}

/// Side by side.
inline std::vector<LikelihoodFamily> product_families() {
  using Part = IndependentProduct::Part;
  const auto mean = [](const Tensor& z, int64_t column) {
    return real_space(z.narrow(1, column, 1), torch::full({1, 1}, 0.5, torch::kDouble));
  };
  const std::vector<Part> mean_and_count{{1, likelihood_of<Gaussian>(0.25)},
                                         {1, likelihood_of<Poisson>()}};
  const std::vector<Part> class_and_mean{{3, likelihood_of<Categorical>()},
                                         {1, likelihood_of<Gaussian>(0.25)}};
  const std::vector<Part> event_and_time{{1, likelihood_of<Bernoulli>()},
                                         {1, likelihood_of<Logistic>()}};
  const auto rare = on_second_half([](const Tensor& z) { return z.clamp_max(-0.5); });
  return {
      {"ProductMeanCount",
       of<IndependentProduct>(mean_and_count),
       [=](const Tensor& z) { return product(mean(z, 0), enumerate_counts(z.narrow(1, 1, 1))); },
       {{3, 2}},
       rare},
      {"ProductClassMean",
       of<IndependentProduct>(class_and_mean),
       [=](const Tensor& z) {
         return product(enumerate_classes(z.narrow(1, 0, 3), 1), mean(z, 3));
       },
       {{3, 4}, {1, 4}}},
      {"ProductEventTime",
       of<IndependentProduct>(event_and_time),
       [=](const Tensor& z) {
         return product(enumerate_binary(z.narrow(1, 0, 1)), logistic_line(z.narrow(1, 1, 1), 1));
       },
       {{3, 2}}},
  };
}

inline std::vector<LikelihoodFamily> location_families() {
  const auto algebraic = [](double scale) {
    return [=](const Tensor& z) { return line_with_algebraic_tails(z, scale); };
  };
  const auto logistic = [](double scale) {
    return [=](const Tensor& z) { return logistic_line(z, scale); };
  };
  std::vector<LikelihoodFamily> families{
      {"StudentT", of<StudentT>(4.0), algebraic(2), {{5}, {4, 2}, {}}},
      {"StudentTScale", of<StudentT>(3.0, 0.4), algebraic(0.4 * std::sqrt(3.0)), {{3, 2}}},
      {"Cauchy", of<Cauchy>(), algebraic(1), {{5}, {}}},
      {"CauchyScale", of<Cauchy>(0.3), algebraic(0.3), {{3, 2}}},
      {"Logistic", of<Logistic>(), logistic(1), {{5}, {4, 2}, {}}},
      {"LogisticScale", of<Logistic>(0.3), logistic(0.3), {{3, 2}}},
  };
  for (const auto& more : {noise_families(), loss_families(), product_families()}) {
    families.insert(families.end(), more.begin(), more.end());
  }
  return families;
}

}  // namespace natgrad::testing
