#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/gamma.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::gamma_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-13;

Tensor natural(double alpha, double beta) {
  return torch::tensor({{alpha, -beta}}, torch::kDouble);
}

Tensor observation(double y) { return torch::tensor({{y}}, torch::kDouble); }

Tensor products(const Gamma& likelihood, Tensor (Gamma::*map)(const Tensor&) const) {
  return matrix_of([&](const Tensor& v) { return (likelihood.*map)(v.view({1, 2})); }, 2);
}

// Γ(2) = 1, ψ(2) = 1 - γ, ψ₁(2) = π²/6 - 1.
TEST(GammaTest, ClosedFormOfShapeTwoAndRateThree) {
  const Gamma likelihood(natural(2, 3));
  const double log_prob = std::log(9 * 0.5) - 1.5;
  EXPECT_NEAR(likelihood.log_prob(observation(0.5)).item<double>(), log_prob, kRounding);
  const double score = std::log(1.5) - 1 + std::numbers::egamma;
  const auto expected = torch::tensor({{score, 0.5 - 2.0 / 3}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(observation(0.5)), expected), kRounding);
  const double trigamma = std::numbers::pi * std::numbers::pi / 6 - 1;
  const auto f = torch::tensor({{trigamma, 1.0 / 3}, {1.0 / 3, 2.0 / 9}}, torch::kDouble);
  EXPECT_LT(relative_error(products(likelihood, &Gamma::fisher_multiply), f), kRounding);
}

TEST(GammaTest, ShapeOneIsAnExponential) {
  const auto rate = randn({3, 2}, 1).exp(), y = randn({3, 2}, 2).exp();
  const auto log_prob = Gamma(torch::cat({torch::ones_like(rate), -rate}, 1)).log_prob(y);
  EXPECT_LT(relative_error(log_prob, Exponential(-rate).log_prob(y)), kRounding);
}

// α log β - log Γ(α) + (α - 1) log y - β y has terms of order α log α. At the mean, log r is
// ½ log(α/2π) - 1/(12α) + 1/(360α³) - log(α/β), by Stirling's series.
TEST(GammaTest, LogProbKeepsItsDigitsAtLargeShapes) {
  for (const double alpha : {1e2, 1e4, 1e8, 1e12}) {
    const double log_prob =
        Gamma(natural(alpha, 2)).log_prob(observation(alpha / 2)).item<double>();
    const double expected = 0.5 * std::log(alpha / (2 * std::numbers::pi)) - 1 / (12 * alpha) +
                            1 / (360 * alpha * alpha * alpha) - std::log(alpha / 2);
    EXPECT_NEAR(log_prob, expected, 10 * kRounding) << alpha;
  }
}

// ψ₁(α) - 1/α = 1/(2α²) + ...: as it stands, 2α roundings would be lost.
TEST(GammaTest, FisherKeepsItsDigitsAtLargeShapes) {
  for (const double alpha : {1e2, 1e6, 1e12}) {
    const Gamma likelihood(natural(alpha, 1));
    const auto b = products(likelihood, &Gamma::factor_multiply);
    const double schur = 0.5 / (alpha * alpha) + 1 / (6 * alpha * alpha * alpha) -
                         1 / (30 * std::pow(alpha, 5)) + 1 / (42 * std::pow(alpha, 7));
    EXPECT_NEAR(b[0][0].square().item<double>() / schur, 1, kRounding) << alpha;
    // F_R (1, -1/α) = (schur, 0), but for the rounding of 1/α, which the product has 2α times.
    const auto v = torch::tensor({{1.0, -1 / alpha}}, torch::kDouble);
    const auto product = likelihood.fisher_multiply(v);
    EXPECT_NEAR(product[0][0].item<double>() / schur, 1, kRounding + 1e-15 * alpha) << alpha;
  }
}

TEST(GammaTest, SamplesHaveTheMeanAndVariance) {
  constexpr int64_t kDraws = 40000;
  for (const double alpha : {0.3, 1.0, 7.0, 1e4}) {
    const auto z = natural(alpha, 5).expand({kDraws, 2});
    const auto x = (Gamma(z).sample(seeded(4)) - alpha / 5) / (std::sqrt(alpha) / 5);
    // Var x² = 2 + 6/α; five standard deviations.
    EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws)) << alpha;
    EXPECT_LT(std::abs(x.square().mean().item<double>() - 1),
              5 * std::sqrt((2 + 6 / alpha) / kDraws))
        << alpha;
  }
}

TEST(GammaTest, SamplesTooSmallForFloat32StayPositive) {
  const Gamma likelihood(torch::tensor({{1e-3, -1.0}}, torch::kFloat).expand({1000, 2}));
  const auto y = likelihood.sample(seeded(5));
  EXPECT_TRUE(y.gt(0).all().item<bool>());
  EXPECT_TRUE(all_finite(likelihood.log_prob(y)));
}

// By natural parameters Newton's step is the natural gradient's, and ε = 1.
TEST(GammaTest, NaturalGradientStepsReachTheMaximumLikelihood) {
  constexpr double kCertified = 1e-12;
  const auto y = torch::tensor({{0.5}, {1.2}, {2.0}, {0.9}, {3.1}}, torch::kDouble);
  const auto theta = torch::tensor({{1.0, -1.0}}, torch::kDouble).requires_grad_();
  for (int k = 0; k < 10; ++k) {
    const LossGraph graph(nll(Gamma(theta.expand({5, 2})), y), {theta});
    const auto step = torch::linalg_solve(dense(fisher(graph)), graph.gradient());
    torch::NoGradGuard no_grad;
    theta.sub_(step.view_as(theta));
  }
  EXPECT_NEAR(theta[0][0].item<double>(), 2.78550735565069, 10 * kCertified);
  EXPECT_NEAR(-theta[0][1].item<double>(), 1.80877101016279, 10 * kCertified);
}

TEST(GammaTest, ParametersOfTheWrongSignAreNamed) {
  auto z = torch::tensor({{1.0, 2.0, -1.0, -2.0}, {1.0, 2.0, -1.0, -2.0}}, torch::kDouble);
  EXPECT_NO_THROW(Gamma likelihood(z));
  z[1][1] = 0;
  expect_error([&] { Gamma likelihood(z); }, "α[1, 1] = 0");
  z[1][1] = 2;
  z[0][3] = 0.5;
  expect_error([&] { Gamma likelihood(z); }, "-β[0, 1] = 0.5");
  z[0][3] = std::nan("");
  EXPECT_NO_THROW(Gamma likelihood(z));
  expect_error([] { Gamma(torch::ones({3}, torch::kDouble)); }, "[N, 2M, ...]");
  expect_error([] { Gamma(torch::ones({3, 3}, torch::kDouble)); }, "[N, 2M, ...]");
}

TEST(GammaTest, TargetsThatAreNotPositiveAreNamed) {
  const Gamma likelihood(natural(2, 3).expand({2, 2}));
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    const auto y = torch::ones({2, 1}, torch::kDouble);
    y[1][0] = bad;
    expect_error([&] { likelihood.log_prob(y); }, "y[1, 0] = ");
    expect_error([&] { likelihood.score(y); }, "positive and finite");
  }
}

}  // namespace
}  // namespace natgrad::testing::gamma_test
