#include <natgrad/likelihoods/poisson.h>
#include "graph/second_derivative.h"

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::poisson_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

TEST(PoissonTest, ClosedFormAtARateOfThree) {
  const Poisson likelihood(number(std::log(3.0)));
  EXPECT_NEAR(likelihood.log_prob(number(2)).item<double>(), std::log(4.5) - 3, kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(0)).item<double>(), -3, kRounding);
  EXPECT_NEAR(likelihood.score(number(5)).item<double>(), 2, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(2)).item<double>(), 6, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(2)).item<double>(), 2 * std::sqrt(3.0), kRounding);
}

TEST(PoissonTest, IsPoissonNllLossAndTheFactorial) {
  const auto z = randn({4, 3}, 1), y = (3 * randn({4, 3}, 2).abs()).round();
  const auto loss =
      torch::poisson_nll_loss(z, y, /*log_input=*/true, /*full=*/false, 1e-8, at::Reduction::None);
  const auto expected = -loss - torch::lgamma(y + 1);
  EXPECT_LT(relative_error(Poisson(z).log_prob(y), expected), kRounding);
}

// At y = λ, log r = -½ log(2πy) - 1/(12y) + 1/(360y³) - ...; y z - e^z - log y! would lose
// y log y roundings, all digits from 1e15 on.
TEST(PoissonTest, LogProbKeepsItsDigitsAtLargeCounts) {
  for (const double y : {100.0, 255.0, 256.0, 1e4, 1e8, 1e15}) {
    const double log_prob = Poisson(number(std::log(y))).log_prob(number(y)).item<double>();
    const double expected =
        -0.5 * std::log(2 * std::numbers::pi * y) - 1 / (12 * y) + 1 / (360 * y * y * y);
    EXPECT_NEAR(log_prob, expected, 100 * kRounding) << y;  // of 256 log 256, at most
  }
}

// Here that difference would be off by a hundred.
TEST(PoissonTest, LogProbKeepsItsDigitsInFloat32) {
  constexpr double kRoundingFloat = 1e-2;  // λ^½ z roundings of 6e-8
  const auto z = torch::tensor({15.0, 11.0, 2.0}, torch::kFloat);
  const auto y = torch::tensor({3270000.0, 60000.0, 9.0}, torch::kFloat);
  const auto exact = Poisson(z.to(torch::kDouble)).log_prob(y.to(torch::kDouble));
  const auto error = (Poisson(z).log_prob(y).to(torch::kDouble) - exact).abs().max();
  EXPECT_LT(error.item<double>(), kRoundingFloat);
}

TEST(PoissonTest, FisherFromTheSmallestToTheLargestRate) {
  constexpr double kRoundingOf700 = 1e-12;  // exp of a number near 700 has its rounding 700 times
  for (const double z : {-700.0, -40.0, 40.0, 700.0}) {
    const Poisson likelihood(number(z));
    EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>() / std::exp(z), 1,
                kRoundingOf700);
    EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>() / std::exp(0.5 * z), 1,
                kRoundingOf700);
  }
  // √F would be zero.
  EXPECT_GT(Poisson(number(-1400)).factor_multiply(number(1)).item<double>(), 0);
}

TEST(PoissonTest, AutogradsSecondDerivativeIsTheRateAtEveryCount) {
  for (const double z : {-30.0, 0.0, 5.0, 30.0}) {
    for (const double y : {0.0, 1.0, 150.0, 1e6}) {
      const auto log_rate = number(z).requires_grad_();
      const auto h = hessian(-Poisson(log_rate).log_prob(number(y)), {log_rate});
      EXPECT_NEAR(h.item<double>() / std::exp(z), 1, 10 * kRounding) << z << ", " << y;
    }
  }
}

TEST(PoissonTest, IntegerCountsAreTakenAsTheyAre) {
  const auto z = randn({3}, 1);
  const auto y = torch::tensor({0.0, 4.0, 11.0}, torch::kDouble);
  const Poisson likelihood(z);
  for (const auto dtype : {torch::kLong, torch::kInt, torch::kShort, torch::kByte}) {
    EXPECT_TRUE(identical(likelihood.log_prob(y.to(dtype)), likelihood.log_prob(y)));
    EXPECT_TRUE(identical(likelihood.score(y.to(dtype)), likelihood.score(y)));
  }
}

// From rare counts to the normal limit beyond 1e8: mean and variance are both λ.
TEST(PoissonTest, SamplesHaveTheRateAsMeanAndVariance) {
  constexpr int64_t kDraws = 40000;
  for (const double rate : {0.3, 5.0, 30.0, 1e6, 9e7, 1.1e8, 1e14}) {
    const auto z = torch::full({kDraws}, std::log(rate), torch::kDouble);
    const auto y = Poisson(z).sample(seeded(4));
    EXPECT_TRUE(identical(y, y.round()));
    const auto x = (y - rate) / std::sqrt(rate);
    // Var x² = 2 + 1/λ; five standard deviations.
    EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws)) << rate;
    EXPECT_LT(std::abs(x.square().mean().item<double>() - 1),
              5 * std::sqrt((2 + 1 / rate) / kDraws))
        << rate;
  }
}

TEST(PoissonTest, SampleFrequenciesAreTheProbabilities) {
  constexpr int64_t kDraws = 40000;
  const double rate = 2;
  const auto y = Poisson(torch::full({kDraws}, std::log(rate), torch::kDouble)).sample(seeded(5));
  for (int k = 0; k <= 6; ++k) {
    const double p = std::exp(k * std::log(rate) - rate - std::lgamma(k + 1.0));
    const double deviation = y.eq(k).to(torch::kDouble).mean().item<double>() - p;
    EXPECT_LT(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << k;
  }
}

TEST(PoissonTest, TargetsThatAreNotCountsAreNamedWithTheirPosition) {
  const Poisson likelihood(randn({2, 3}, 1));
  for (const double bad : {-1.0, 0.5, std::nan(""), HUGE_VAL}) {
    auto y = torch::ones({2, 3}, torch::kDouble);
    y[1][0] = bad;
    expect_error([&] { likelihood.log_prob(y); }, "y[1, 0] = ");
    expect_error([&] { likelihood.score(y); }, "whole number >= 0");
  }
  auto y = torch::ones({2, 3}, torch::kLong);
  y[0][1] = -2;
  expect_error([&] { likelihood.score(y); }, "y[0, 1] = -2");
  expect_error([&] { likelihood.score(torch::ones({3}, torch::kLong)); }, "shape");
}

}  // namespace
}  // namespace natgrad::testing::poisson_test
