#include <natgrad/likelihoods/gaussian.h>

#include <cmath>
#include <numbers>

#include "support/oracles.h"

namespace natgrad::testing::gaussian_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

TEST(GaussianTest, ClosedFormOfTheStandardNormal) {
  const Gaussian likelihood(number(0));
  EXPECT_NEAR(likelihood.log_prob(number(0)).item<double>(), -0.9189385332046727, kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(2)).item<double>(), -2.9189385332046727, kRounding);
  EXPECT_EQ(likelihood.score(number(2)).item<double>(), 2);
  EXPECT_EQ(likelihood.fisher_multiply(number(1)).item<double>(), 1);
  EXPECT_EQ(likelihood.factor_multiply(number(1)).item<double>(), 1);
}

TEST(GaussianTest, ClosedFormWithAVariance) {
  const Gaussian likelihood(number(-1), 4);
  const double expected = -0.5 - 0.5 * std::log(8 * std::numbers::pi);
  EXPECT_NEAR(likelihood.log_prob(number(1)).item<double>(), expected, kRounding);
  EXPECT_EQ(likelihood.score(number(1)).item<double>(), 0.5);
  EXPECT_EQ(likelihood.fisher_multiply(number(3)).item<double>(), 0.75);
  EXPECT_EQ(likelihood.factor_multiply(number(3)).item<double>(), 1.5);
}

// With variance 1, -log r is ½ (y - z)² and a constant.
TEST(GaussianTest, IsHalfTheSquaredErrorUpToAConstant) {
  const auto z = randn({4, 3}, 1).requires_grad_();
  const auto y = randn({4, 3}, 2);
  const auto loss = 0.5 * torch::mse_loss(z, y, at::Reduction::Sum);
  const auto expected = torch::autograd::grad({loss}, {z})[0];
  EXPECT_LT(relative_error(-Gaussian(z).score(y), expected), kRounding);
  const auto constant = 12 * 0.5 * std::log(2 * std::numbers::pi);
  EXPECT_NEAR((-Gaussian(z).log_prob(y).sum() - loss).item<double>(), constant, 12 * kRounding);
}

// Outputs in other units, z → c z, y → c y, variance → c² variance: log r moves by log c only.
TEST(GaussianTest, UnitsOfTheOutputsDoNotMatter) {
  const double c = 100;
  const auto z = randn({5}, 1), y = randn({5}, 2), v = randn({5}, 3);
  const Gaussian metres(z, 0.3), centimetres(c * z, c * c * 0.3);
  // |log r| is of order ten, its logarithms are rounded.
  EXPECT_LT(relative_error(centimetres.log_prob(c * y) + std::log(c), metres.log_prob(y)),
            10 * kRounding);
  EXPECT_LT(relative_error(c * centimetres.score(c * y), metres.score(y)), 10 * kRounding);
  EXPECT_LT(relative_error(c * centimetres.fisher_multiply(c * v), metres.fisher_multiply(v)),
            10 * kRounding);
}

TEST(GaussianTest, ExtremeMeansAndVariancesAreFollowedExactly) {
  const Gaussian narrow(number(1e4), 1e-8);
  EXPECT_NEAR(narrow.score(number(-1e4)).item<double>() / -2e12, 1, kRounding);
  EXPECT_NEAR(narrow.log_prob(number(-1e4)).item<double>() / -2e16, 1, kRounding);
  EXPECT_NEAR(narrow.fisher_multiply(number(1)).item<double>() / 1e8, 1, kRounding);
  const Gaussian wide(number(0), 1e300);
  EXPECT_NEAR(wide.factor_multiply(number(1)).item<double>() / 1e-150, 1, kRounding);
}

TEST(GaussianTest, SamplesHaveTheMeanTheVarianceAndTheFourthMoment) {
  constexpr int64_t kDraws = 40000;
  constexpr double kVariance = 2.25;
  const auto z = torch::full({kDraws}, 3.0, torch::kDouble);
  const auto x = (Gaussian(z, kVariance).sample(seeded(4)) - 3.0) / std::sqrt(kVariance);
  // E xⁿ = 0, 1, 0, 3 with variances 1, 2, 15, 96; five standard deviations.
  const double moments[] = {0, 1, 0, 3}, variances[] = {1, 2, 15, 96};
  for (int n = 1; n <= 4; ++n) {
    const double deviation = x.pow(n).mean().item<double>() - moments[n - 1];
    EXPECT_LT(std::abs(deviation), 5 * std::sqrt(variances[n - 1] / kDraws)) << "moment " << n;
  }
}

TEST(GaussianTest, VariancesThatAreNotPositiveAndFiniteThrow) {
  for (const double bad : {0.0, -0.0, -1.0, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    expect_error([bad] { Gaussian likelihood(randn({2}, 1), bad); }, "variance");
  }
}

TEST(GaussianTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  const Gaussian likelihood(randn({2, 3}, 1));
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const auto y = torch::zeros({2, 3}, torch::kDouble);
    y[0][2] = bad;
    expect_error([&] { likelihood.check_targets(y); }, "y[0, 2] = ");
    expect_error([&] { likelihood.log_prob(y); }, "y[0, 2] = ");
    expect_error([&] { likelihood.score(y); }, "y[0, 2] = ");
  }
}

TEST(GaussianTest, TargetsThatWouldBroadcastThrow) {
  const Gaussian column(randn({4, 1}, 1));
  expect_error([&] { column.score(randn({4}, 2)); }, "[4, 1]");
  expect_error([&] { column.score(randn({}, 2)); }, "shape");
  const Gaussian row(randn({4}, 1));
  expect_error([&] { row.score(randn({4, 1}, 2)); }, "[4, 1]");
}

TEST(GaussianTest, TextTellsVariancesApart) {
  const auto z = randn({2}, 1);
  EXPECT_EQ(Gaussian(z, 0.1).describe(), Gaussian(-z, 0.1).describe());
  EXPECT_NE(Gaussian(z, 0.1).describe(), Gaussian(z, std::nextafter(0.1, 1.0)).describe());
}

}  // namespace
}  // namespace natgrad::testing::gaussian_test
