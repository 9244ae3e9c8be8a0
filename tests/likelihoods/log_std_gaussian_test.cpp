#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/log_std_gaussian.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::log_std_gaussian_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

/// z of one observation with this mean and standard deviation.
Tensor outputs_of(double mu, double sigma) {
  return torch::tensor({{mu, std::log(sigma)}}, torch::kDouble);
}

Tensor observation(double y) { return torch::tensor({{y}}, torch::kDouble); }

TEST(LogStdGaussianTest, ClosedFormOfMeanOneAndVarianceFour) {
  const LogStdGaussian likelihood(outputs_of(1, 2));
  const double log_prob = -1.125 - 0.5 * std::log(8 * std::numbers::pi);
  EXPECT_NEAR(likelihood.log_prob(observation(4)).item<double>(), log_prob, kRounding);
  const auto score = torch::tensor({{0.75, 1.25}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(observation(4)), score), kRounding);
  const auto one = torch::ones({1, 2}, torch::kDouble);
  const auto f = torch::tensor({{0.25, 2.0}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(one), f), kRounding);
  EXPECT_LT(relative_error(likelihood.factor_multiply(one), f.sqrt()), kRounding);
}

TEST(LogStdGaussianTest, IsAGaussianWithItsMeanAndVariance) {
  const auto z = randn({3, 4}, 1), y = randn({3, 2}, 3);
  const auto variance = (2 * z.slice(1, 2)).exp();
  const auto expected = DiagonalGaussian(z.slice(1, 0, 2), variance).log_prob(y);
  EXPECT_LT(relative_error(LogStdGaussian(z).log_prob(y), expected), kRounding);
}

// Indefinite wherever y is not the mean: why Gauss-Newton is not the Fisher matrix here.
TEST(LogStdGaussianTest, TheHessianIsIndefiniteAndDependsOnTheTarget) {
  const auto z = outputs_of(1, 2).requires_grad_();
  for (const double r : {-3.0, 0.1, 5.0}) {
    const auto h = hessian(-LogStdGaussian(z).log_prob(observation(1 + r)).sum(), {z});
    const auto expected = torch::tensor({{1.0, 2 * r}, {2 * r, 2 * r * r}}, torch::kDouble) / 4;
    EXPECT_LT(relative_error(h, expected), kRounding);
    EXPECT_LT(torch::linalg_det(h).item<double>(), 0);
  }
}

TEST(LogStdGaussianTest, FisherFromTheNarrowestToTheWidest) {
  const auto one = torch::ones({1, 2}, torch::kDouble);
  for (const double log_sigma : {-300.0, -40.0, 40.0, 300.0}) {
    const LogStdGaussian likelihood(outputs_of(1, std::exp(log_sigma)));
    const auto f = likelihood.fisher_multiply(one)[0], b = likelihood.factor_multiply(one)[0];
    // exp of a number near 600 has its rounding 600 times.
    EXPECT_NEAR(f[0].item<double>() / std::exp(-2 * log_sigma), 1, 100 * kRounding);
    EXPECT_NEAR(b[0].item<double>() / std::exp(-log_sigma), 1, 100 * kRounding);
    EXPECT_EQ(f[1].item<double>(), 2.0);
    EXPECT_NEAR(b[1].item<double>(), std::sqrt(2.0), kRounding);
  }
}

TEST(LogStdGaussianTest, SamplesHaveTheMeanAndTheVariance) {
  constexpr int64_t kDraws = 40000;
  const auto z = outputs_of(3, 0.1).expand({kDraws, 2}).contiguous();
  const auto x = (LogStdGaussian(z).sample(seeded(4)) - 3) / 0.1;
  // E x = 0, E x² = 1 with variances 1 and 2; five standard deviations.
  EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws));
  EXPECT_LT(std::abs(x.square().mean().item<double>() - 1), 5 * std::sqrt(2.0 / kDraws));
}

TEST(LogStdGaussianTest, WrongShapesThrow) {
  expect_error([] { LogStdGaussian(randn({2, 3}, 1)); }, "[N, 2M, ...]");
  expect_error([] { LogStdGaussian(randn({4}, 1)); }, "[N, 2M, ...]");
  const LogStdGaussian likelihood(randn({3, 4}, 1));
  expect_error([&] { likelihood.score(randn({3, 4}, 1)); }, "needs targets of shape [3, 2]");
}

TEST(LogStdGaussianTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = randn({3, 2}, 1);
  y[1][1] = std::nan("");
  const LogStdGaussian likelihood(randn({3, 4}, 1));
  expect_error([&] { likelihood.log_prob(y); }, "y[1, 1] = ");
}

}  // namespace
}  // namespace natgrad::testing::log_std_gaussian_test
