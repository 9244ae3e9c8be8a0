#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include "graph/second_derivative.h"

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::natural_gaussian_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

/// z of one observation with this mean and standard deviation.
Tensor natural(double mu, double sigma) {
  return torch::tensor({{mu / (sigma * sigma), -0.5 / (sigma * sigma)}}, torch::kDouble);
}

Tensor observation(double y) { return torch::tensor({{y}}, torch::kDouble); }

/// [[σ², 2μσ²], [2μσ², 4μ²σ² + 2σ⁴]].
Tensor closed_fisher(double mu, double sigma) {
  const double s2 = sigma * sigma;
  return torch::tensor({{s2, 2 * mu * s2}, {2 * mu * s2, 4 * mu * mu * s2 + 2 * s2 * s2}},
                       torch::kDouble);
}

TEST(NaturalGaussianTest, ClosedFormOfMeanOneAndVarianceFour) {
  const NaturalGaussian likelihood(natural(1, 2));
  const double log_prob = -0.5 - 0.5 * std::log(8 * std::numbers::pi);
  EXPECT_NEAR(likelihood.log_prob(observation(3)).item<double>(), log_prob, kRounding);
  const auto score = torch::tensor({{2.0, 4.0}}, torch::kDouble);  // 3 - 1, 3² - 1² - 4
  EXPECT_LT(relative_error(likelihood.score(observation(3)), score), kRounding);
  const auto f = matrix_of(
      [&](const Tensor& v) {
        return likelihood.fisher_multiply(v.view({1, 2}));
      },
      2);
  EXPECT_LT(relative_error(f, torch::tensor({{4.0, 8.0}, {8.0, 48.0}}, torch::kDouble)), kRounding);
}

// The same numbers as a Gaussian's log r, by other outputs; M = 2 tells the layout.
TEST(NaturalGaussianTest, IsAGaussianWithItsMeanAndVariance) {
  const auto a = randn({3, 2}, 1), b = -randn({3, 2}, 2).exp(), y = randn({3, 2}, 3);
  const auto log_prob = NaturalGaussian(torch::cat({a, b}, 1)).log_prob(y);
  const auto mean = -a / (2 * b), variance = -1 / (2 * b);
  EXPECT_LT(relative_error(log_prob, DiagonalGaussian(mean, variance).log_prob(y)), kRounding);
}

// a y + b y² + a²/(4b) has three terms of 5e5 here, which cancel.
TEST(NaturalGaussianTest, LogProbKeepsItsDigitsFarFromZero) {
  const double log_prob = -0.5 * 1.5 * 1.5 - 0.5 * std::log(2 * std::numbers::pi);
  const NaturalGaussian likelihood(natural(1000, 1));
  EXPECT_NEAR(likelihood.log_prob(observation(1001.5)).item<double>(), log_prob, kRounding);
}

TEST(NaturalGaussianTest, FisherFromNarrowToWideAndFarFromZero) {
  for (const double sigma : {1e-3, 1.0, 1e3}) {
    for (const double mu : {0.0, -2.0, 1e4}) {
      const NaturalGaussian likelihood(natural(mu, sigma));
      const auto of = [&](auto part) {
        return matrix_of([&](const Tensor& v) { return (likelihood.*part)(v.view({1, 2})); }, 2);
      };
      const auto expected = closed_fisher(mu, sigma);
      const auto b = of(&NaturalGaussian::factor_multiply);
      EXPECT_LT(relative_error(of(&NaturalGaussian::fisher_multiply), expected), kRounding);
      EXPECT_LT(relative_error(b.mm(b.t()), expected), kRounding);
    }
  }
}

// F (-2μ, 1) = (0, 2σ⁴): at μ/σ = 1000 seven digits of F's entries cancel in it, not of the
// product.
TEST(NaturalGaussianTest, FisherKeepsItsDigitsInItsWeakDirection) {
  const NaturalGaussian likelihood(natural(1000, 1));
  const auto weak = torch::tensor({{-2000.0, 1.0}}, torch::kDouble);
  const auto expected = torch::tensor({{0.0, 2.0}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(weak), expected), kRounding);
}

TEST(NaturalGaussianTest, AutogradsSecondDerivativeIsTheFisherFarFromZero) {
  const auto z = natural(1000, 1).requires_grad_();
  for (const double y : {1000.0, 1003.0, -50.0}) {
    const auto h = hessian(-NaturalGaussian(z).log_prob(observation(y)).sum(), {z});
    EXPECT_LT(relative_error(h, closed_fisher(1000, 1)), kRounding) << y;
  }
}

TEST(NaturalGaussianTest, SecondParametersThatAreNotNegativeAndFiniteAreNamed) {
  for (const double bad : {0.0, 1e-300, 2.0, HUGE_VAL}) {
    auto z = -torch::ones({2, 4}, torch::kDouble);
    z[1][2] = bad;
    expect_error([&] { NaturalGaussian likelihood(z); }, "b[1, 0] = ");
  }
  auto z = -torch::ones({2, 4}, torch::kDouble);
  z[1][1] = 5;  // a may have either sign
  EXPECT_NO_THROW(NaturalGaussian likelihood(z));
}

TEST(NaturalGaussianTest, OutputsThatAreNotPairsThrow) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {4}, {2, 3}, {2, 1, 2}}) {
    expect_error([&] { NaturalGaussian(-torch::ones(shape, torch::kDouble)); }, "[N, 2M, ...]");
  }
}

TEST(NaturalGaussianTest, TargetsAreHalfAsManyAsOutputs) {
  const NaturalGaussian likelihood(-torch::ones({3, 4}, torch::kDouble));
  EXPECT_EQ(likelihood.log_prob(randn({3, 2}, 1)).sizes(), torch::IntArrayRef({3, 2}));
  expect_error([&] { likelihood.log_prob(randn({3, 4}, 1)); }, "needs targets of shape [3, 2]");
  expect_error([&] { likelihood.log_prob(randn({3, 1}, 1)); }, "needs targets of shape [3, 2]");
  expect_error([&] { likelihood.log_prob(randn({3}, 1)); }, "needs targets of shape [3, 2]");
  auto y = randn({3, 2}, 1);
  y[2][0] = HUGE_VAL;
  expect_error([&] { likelihood.score(y); }, "y[2, 0] = ");
}

TEST(NaturalGaussianTest, AlignPutsAnObservationsNumberOverBothItsParameters) {
  const NaturalGaussian likelihood(-torch::ones({2, 4}, torch::kDouble));
  const auto aligned = likelihood.align(torch::tensor({{1.0, 2.0}, {3.0, 4.0}}, torch::kDouble));
  const auto expected = torch::tensor({{1.0, 2.0, 1.0, 2.0}, {3.0, 4.0, 3.0, 4.0}}, torch::kDouble);
  EXPECT_TRUE(identical(aligned, expected));
}

}  // namespace
}  // namespace natgrad::testing::natural_gaussian_test
