#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/log_variance_gaussian.h>
#include <natgrad/likelihoods/residual_spread.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::residual_spread_test {
namespace {

using By = ResidualSpread::By;

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor({value}, torch::kDouble); }

TEST(ResidualSpreadTest, ClosedFormOfAResidualOfThreeAndVarianceFour) {
  const double log_prob = -1.125 - 0.5 * std::log(8 * std::numbers::pi);
  const ResidualSpread by_log(number(std::log(4.))), by_variance(number(4), By::Variance);
  EXPECT_NEAR(by_log.log_prob(number(3)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(by_variance.log_prob(number(3)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(by_log.score(number(3)).item<double>(), 0.625, kRounding);
  EXPECT_NEAR(by_variance.score(number(3)).item<double>(), 0.15625, kRounding);
  EXPECT_NEAR(by_log.fisher_multiply(number(1)).item<double>(), 0.5, kRounding);
  EXPECT_NEAR(by_variance.fisher_multiply(number(1)).item<double>(), 1. / 32, kRounding);
  EXPECT_NEAR(by_variance.factor_multiply(number(1)).item<double>(), 0.25 / std::sqrt(2.),
              kRounding);
  EXPECT_NEAR(by_variance.fisher_solve(number(1)).item<double>(), 32, 32 * kRounding);
}

// σ = 2, by itself and by its logarithm.
TEST(ResidualSpreadTest, ClosedFormOfAResidualOfThreeAndDeviationTwo) {
  const double log_prob = -1.125 - 0.5 * std::log(8 * std::numbers::pi);
  const ResidualSpread by_log(number(std::log(2.)), By::LogDeviation),
      by_deviation(number(2), By::Deviation);
  EXPECT_NEAR(by_log.log_prob(number(3)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(by_deviation.log_prob(number(3)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(by_log.score(number(3)).item<double>(), 1.25, kRounding);
  EXPECT_NEAR(by_deviation.score(number(3)).item<double>(), 0.625, kRounding);
  EXPECT_NEAR(by_log.fisher_multiply(number(1)).item<double>(), 2, kRounding);
  EXPECT_NEAR(by_deviation.fisher_multiply(number(1)).item<double>(), 0.5, kRounding);
  EXPECT_NEAR(by_deviation.fisher_solve(number(1)).item<double>(), 2, kRounding);
  // To σ = 1 and v = 1 from v = 4: ½ (4 - 1 - log 4).
  const double kl = 0.5 * (3 - std::log(4.));
  EXPECT_NEAR(by_log.kl(ResidualSpread(number(0), By::LogDeviation)).item<double>(), kl, kRounding);
  EXPECT_NEAR(by_deviation.kl(ResidualSpread(number(1), By::Deviation)).item<double>(), kl,
              kRounding);
}

TEST(ResidualSpreadTest, IsAGaussianAroundZero) {
  const auto log_v = randn({3, 2}, 1), y = randn({3, 2}, 2);
  const auto expected = DiagonalGaussian(torch::zeros_like(y), log_v.exp()).log_prob(y).sum();
  const ResidualSpread by_log(log_v), by_variance(log_v.exp(), By::Variance);
  EXPECT_LT(relative_error(by_log.log_prob(y).sum(), expected), kRounding);
  EXPECT_LT(relative_error(by_variance.log_prob(y).sum(), expected), kRounding);
}

// The spread's part of (μ, log σ²).
TEST(ResidualSpreadTest, IsTheSecondHalfOfAMeanAndALogVariance) {
  const auto z = randn({3, 4}, 3), y = randn({3, 2}, 4), v = randn({3, 2}, 5);
  const LogVarianceGaussian whole(z);
  const ResidualSpread spread(z.narrow(1, 2, 2));
  const auto r = y - z.narrow(1, 0, 2);
  EXPECT_LT(relative_error(spread.score(r), whole.score(y).narrow(1, 2, 2)), kRounding);
  const auto padded = torch::cat({torch::zeros_like(v), v}, 1);
  EXPECT_LT(
      relative_error(spread.fisher_multiply(v), whole.fisher_multiply(padded).narrow(1, 2, 2)),
      kRounding);
}

TEST(ResidualSpreadTest, SmallVariancesNeitherOverflowNorVanish) {
  for (const double log_v : {-600., -100., 100., 600.}) {
    const ResidualSpread spread(number(log_v));
    const auto y = number(2 * std::exp(0.5 * log_v));
    // exp of a number near 300 has its rounding 300 times.
    EXPECT_NEAR(spread.score(y).item<double>(), 1.5, 1000 * kRounding);
    EXPECT_EQ(spread.fisher_multiply(number(1)).item<double>(), 0.5);
  }
}

TEST(ResidualSpreadTest, AVarianceThatShrinksToNothingCostsEverything) {
  const ResidualSpread spread(number(2), By::Variance);
  const auto score = spread.score(number(1));
  const auto change = spread.output_change(score, number(-2.5));
  EXPECT_EQ(change->loss.item<double>(), std::numeric_limits<double>::infinity());
  EXPECT_NEAR(change->reach.item<double>(), 1.25, kRounding);
  const ResidualSpread by_deviation(number(2), By::Deviation);
  const auto halved = by_deviation.output_change(by_deviation.score(number(1)), number(-1));
  // log σ² by -2 log 2, y²/σ² from ¼ to 1.
  EXPECT_NEAR(halved->loss.item<double>(), 0.5 * (0.75 - 2 * std::log(2.)), kRounding);
  EXPECT_EQ(
      by_deviation.output_change(by_deviation.score(number(1)), number(-2))->loss.item<double>(),
      std::numeric_limits<double>::infinity());
}

TEST(ResidualSpreadTest, SamplesHaveTheVariance) {
  constexpr int64_t kDraws = 40000;
  const std::vector<std::pair<By, double>> quarters = {{By::LogVariance, std::log(0.25)},
                                                       {By::Variance, 0.25},
                                                       {By::LogDeviation, std::log(0.5)},
                                                       {By::Deviation, 0.5}};
  for (const auto& [by, z] : quarters) {
    const auto x = 2 * ResidualSpread(number(z).expand({kDraws}), by).sample(seeded(6));
    // E x = 0, E x² = 1 with variances 1 and 2; five standard deviations.
    EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws));
    EXPECT_LT(std::abs(x.square().mean().item<double>() - 1), 5 * std::sqrt(2.0 / kDraws));
  }
}

TEST(ResidualSpreadTest, WhatIsNoSpreadThrows) {
  expect_error(
      [] {
        ResidualSpread(torch::tensor({1., 0.}, torch::kDouble), By::Variance);
      },
      "a variance is positive");
  expect_error([] { ResidualSpread(number(-1), By::Variance); }, "a variance is positive");
  expect_error([] { ResidualSpread(number(0), By::Deviation); }, "a deviation is positive");
  EXPECT_NO_THROW(ResidualSpread(number(-1)));
  const ResidualSpread spread(randn({3, 2}, 7));
  expect_error([&] { spread.score(randn({3}, 8)); }, "shape");
  expect_error(
      [&] {
        spread.log_prob(torch::full({3, 2}, std::nan(""), torch::kDouble));
      },
      "a residual is finite");
}

}  // namespace
}  // namespace natgrad::testing::residual_spread_test
