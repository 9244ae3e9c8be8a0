#include <natgrad/likelihoods/bernoulli.h>
#include "graph/second_derivative.h"

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::bernoulli_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;
// The same in float32, where exp of an argument near 80 has its rounding 80 times.
constexpr double kRoundingFloat = 2e-5;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

/// σ(z) σ(-z) = e / (1 + e)², e = exp(-|z|).
double exact_fisher(double z) {
  const double e = std::exp(-std::abs(z));
  return e / ((1 + e) * (1 + e));
}

/// log σ(z).
double exact_log_sigmoid(double z) {
  return z < 0 ? z - std::log1p(std::exp(z)) : -std::log1p(std::exp(-z));
}

/// σ(z).
double exact_sigmoid(double z) {
  const double e = std::exp(-std::abs(z));
  return (z < 0 ? e : 1) / (1 + e);
}

TEST(BernoulliTest, ClosedFormAtAnEvenChance) {
  const Bernoulli likelihood(number(0));
  EXPECT_NEAR(likelihood.log_prob(number(1)).item<double>(), -std::log(2.0), kRounding);
  EXPECT_NEAR(likelihood.score(number(1)).item<double>(), 0.5, kRounding);
  EXPECT_NEAR(likelihood.score(number(0)).item<double>(), -0.5, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>(), 0.25, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>(), 0.5, kRounding);
}

// σ(1 - σ) is zero from 37 on; the last of these is exp(-700), near the smallest double.
TEST(BernoulliTest, FisherKeepsItsDigitsAtLargeLogits) {
  for (const double z : {-700.0, -40.0, -20.0, -0.7, 0.7, 20.0, 25.0, 37.0, 40.0, 700.0}) {
    const double expected = exact_fisher(z);
    const Bernoulli likelihood(number(z));
    EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>() / expected, 1, kRounding) << z;
    EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>() / std::sqrt(expected), 1,
                kRounding)
        << z;
  }
}

TEST(BernoulliTest, FisherKeepsItsDigitsInFloat32) {
  for (const double z : {-80.0, -40.0, -20.0, -10.0, 10.0, 20.0, 40.0, 80.0}) {
    const Bernoulli likelihood(number(z).to(torch::kFloat));
    const auto product = likelihood.fisher_multiply(torch::ones({}, torch::kFloat));
    EXPECT_NEAR(product.item<double>() / exact_fisher(z), 1, kRoundingFloat) << z;
  }
}

TEST(BernoulliTest, LogProbKeepsItsDigitsAtLargeLogits) {
  for (const double z : {-700.0, -40.0, -1.0, 1.0, 40.0, 700.0}) {
    const Bernoulli likelihood(number(z));
    const double one = likelihood.log_prob(number(1)).item<double>();
    const double zero = likelihood.log_prob(number(0)).item<double>();
    EXPECT_NEAR(one / exact_log_sigmoid(z), 1, kRounding) << z;
    EXPECT_NEAR(zero / exact_log_sigmoid(-z), 1, kRounding) << z;
  }
}

TEST(BernoulliTest, ScoreKeepsItsDigitsAtLargeLogits) {
  for (const double z : {-700.0, -40.0, -1.0, 1.0, 40.0, 700.0}) {
    const Bernoulli likelihood(number(z));
    EXPECT_NEAR(likelihood.score(number(1)).item<double>() / exact_sigmoid(-z), 1, kRounding) << z;
    EXPECT_NEAR(likelihood.score(number(0)).item<double>() / -exact_sigmoid(z), 1, kRounding) << z;
  }
}

// softplus is exactly linear above its threshold of 20: Gauss-Newton would lose these examples.
TEST(BernoulliTest, AutogradsSecondDerivativeIsTheFisherAtLargeLogits) {
  for (const double y : {0.0, 1.0, 0.3}) {
    for (const double z : {-40.0, -25.0, -20.5, 20.5, 25.0, 40.0}) {
      const auto logit = number(z).requires_grad_();
      const auto value = Bernoulli(logit).log_prob(number(y));
      const auto gradient = torch::autograd::grad({value}, {logit}, {}, true, true)[0];
      const auto second = torch::autograd::grad({gradient}, {logit})[0].item<double>();
      EXPECT_NEAR(-second / exact_fisher(z), 1, kRounding) << "y = " << y << ", z = " << z;
    }
  }
}

TEST(BernoulliTest, AtLogitsOf1e4TheLikelySideIsCertain) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const auto z = torch::tensor({1e4, -1e4}, dtype);
    const auto likely = torch::tensor({1.0, 0.0}, dtype);
    const Bernoulli likelihood(z);
    EXPECT_EQ(likelihood.log_prob(likely).abs().max().item<double>(), 0);
    EXPECT_EQ(likelihood.score(likely).abs().max().item<double>(), 0);
    EXPECT_TRUE(identical(likelihood.log_prob(1 - likely), torch::full({2}, -1e4, dtype)));
    EXPECT_TRUE(identical(likelihood.score(1 - likely), torch::tensor({-1.0, 1.0}, dtype)));
    EXPECT_TRUE(identical(likelihood.sample(seeded(1)), likely));
  }
}

// The loss of binary_cross_entropy_with_logits with soft targets.
TEST(BernoulliTest, TargetsBetweenZeroAndOneInterpolate) {
  const Bernoulli likelihood(number(1.3));
  for (const auto part : {&Bernoulli::log_prob, &Bernoulli::score}) {
    const double between = (likelihood.*part)(number(0.25)).item<double>();
    const double one = (likelihood.*part)(number(1)).item<double>();
    const double zero = (likelihood.*part)(number(0)).item<double>();
    EXPECT_NEAR(between, 0.25 * one + 0.75 * zero, kRounding);
  }
}

TEST(BernoulliTest, SampleFrequenciesAreTheProbabilities) {
  constexpr int64_t kDraws = 40000;
  const auto z = torch::tensor({-2.0, 0.0, 1.5}, torch::kDouble);
  const auto y = Bernoulli(z.expand({kDraws, 3}).contiguous()).sample(seeded(4));
  EXPECT_TRUE(y.eq(0).logical_or(y.eq(1)).all().item<bool>());
  for (int64_t i = 0; i < 3; ++i) {
    const double p = exact_sigmoid(z[i].item<double>());
    const double deviation = y.select(1, i).mean().item<double>() - p;
    EXPECT_LT(std::abs(deviation),
              5 * std::sqrt(p * (1 - p) / kDraws));  // five standard deviations
  }
}

TEST(BernoulliTest, TargetsOutsideTheUnitIntervalAreNamedWithTheirPosition) {
  const Bernoulli likelihood(randn({2, 3}, 1));
  for (const double bad : {-1e-6, 1 + 1e-6, 2.0, -1.0, std::nan(""), HUGE_VAL}) {
    const auto y = torch::full({2, 3}, 0.5, torch::kDouble);
    y[1][0] = bad;
    for (const auto part : {&Bernoulli::log_prob, &Bernoulli::score}) {
      expect_error([&] { (likelihood.*part)(y); }, "y[1, 0] = ");
    }
    expect_error([&] { likelihood.check_targets(y); }, "[0, 1]");
  }
}

TEST(BernoulliTest, TargetsThatWouldBroadcastThrow) {
  const Bernoulli column(randn({4, 1}, 1));
  expect_error([&] { column.score(torch::ones({4}, torch::kDouble)); }, "[4, 1]");
  expect_error([&] { column.score(torch::ones({}, torch::kDouble)); }, "shape");
  expect_error([&] { column.score(torch::ones({1, 1}, torch::kDouble)); }, "shape");
  const Bernoulli row(randn({4}, 1));
  expect_error([&] { row.score(torch::ones({4, 1}, torch::kDouble)); }, "[4, 1]");
}

TEST(BernoulliTest, IntegerTargetsThrowAndSayHowToConvert) {
  const Bernoulli likelihood(randn({4}, 1));
  expect_error([&] { likelihood.score(torch::ones({4}, torch::kLong)); }, ".to(");
}

}  // namespace
}  // namespace natgrad::testing::bernoulli_test
