#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::huber_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

/// P(|d| <= t).
double distribution(double t, double delta) {
  const double root = std::sqrt(2 * std::numbers::pi);
  const double tails = 2 / delta * std::exp(-0.5 * delta * delta);
  const double z = root * std::erf(delta / std::numbers::sqrt2) + tails;
  if (t <= delta) return root * std::erf(t / std::numbers::sqrt2) / z;
  return 1 - tails / z * std::exp(-delta * (t - delta));
}

TEST(HuberTest, ClosedFormAtDeltaOne) {
  // √2π erf(1/√2) = 1.711248783784298, 2 e^-½ = 1.213061319425267.
  constexpr double kCore = 1.711248783784298, kTails = 1.213061319425267;
  const double log_z = std::log(kCore + kTails);
  const Huber likelihood(number(0));
  EXPECT_NEAR(likelihood.log_prob(number(0.5)).item<double>(), -0.125 - log_z, kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(-3)).item<double>(), -2.5 - log_z, kRounding);
  EXPECT_EQ(likelihood.score(number(0.5)).item<double>(), 0.5);
  EXPECT_EQ(likelihood.score(number(-3)).item<double>(), -1);
  const double fisher = kCore / (kCore + kTails);
  EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>(), fisher, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>(), std::sqrt(fisher), kRounding);
}

TEST(HuberTest, IsHuberLossUpToAConstant) {
  const auto z = randn({4, 3}, 1).requires_grad_();
  const auto y = 2 * randn({4, 3}, 2);
  for (const double delta : {0.3, 1.0, 2.5}) {
    const auto loss = torch::huber_loss(z, y, at::Reduction::Sum, delta);
    const auto gradient = torch::autograd::grad({loss}, {z})[0];
    EXPECT_LT(relative_error(-Huber(z, delta).score(y), gradient), kRounding);
    const auto differences =
        -Huber(z, delta).log_prob(y) - torch::huber_loss(z, y, at::Reduction::None, delta);
    EXPECT_LT((differences - differences[0][0]).abs().max().item<double>(), kRounding);
  }
}

TEST(HuberTest, IsSmoothL1LossWithRootBetaTwice) {
  const auto z = randn({4, 3}, 1).requires_grad_();
  const auto y = 2 * randn({4, 3}, 2);
  for (const double beta : {0.3, 1.0, 2.5}) {
    const auto loss = torch::smooth_l1_loss(z, y, at::Reduction::Sum, beta);
    const auto gradient = torch::autograd::grad({loss}, {z})[0];
    const Huber likelihood(z, std::sqrt(beta), std::sqrt(beta));
    EXPECT_LT(relative_error(-likelihood.score(y), gradient), kRounding);
    const auto differences =
        -likelihood.log_prob(y) - torch::smooth_l1_loss(z, y, at::Reduction::None, beta);
    EXPECT_LT((differences - differences[0][0]).abs().max().item<double>(), kRounding);
  }
}

TEST(HuberTest, IsAGaussianForALargeDelta) {
  const auto z = randn({5}, 1), y = randn({5}, 2), v = randn({5}, 3);
  const Gaussian gaussian(z, 0.25);
  for (const double delta : {40.0, 1e10, 1e300}) {
    const Huber huber(z, delta, 0.5);
    EXPECT_LT(relative_error(huber.log_prob(y), gaussian.log_prob(y)), kRounding);
    EXPECT_LT(relative_error(huber.score(y), gaussian.score(y)), kRounding);
    EXPECT_LT(relative_error(huber.fisher_multiply(v), gaussian.fisher_multiply(v)), kRounding);
  }
}

// To the order of δ².
TEST(HuberTest, IsALaplaceForASmallDelta) {
  constexpr double kDelta = 1e-8;
  const auto z = randn({5}, 1), y = randn({5}, 2), v = randn({5}, 3);
  const Huber huber(z, kDelta, kDelta);
  const Laplace laplace(z, 1);
  EXPECT_LT(relative_error(huber.log_prob(y), laplace.log_prob(y)), kRounding);
  EXPECT_LT(relative_error(huber.score(y), laplace.score(y)), kRounding);
  EXPECT_LT(relative_error(huber.fisher_multiply(v), laplace.fisher_multiply(v)), kRounding);
}

TEST(HuberTest, TheHessianIsOneWithinDeltaAndZeroBeyond) {
  const auto z = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto y = torch::tensor({0.29, 0.31}, torch::kDouble);
  const auto h = hessian(-Huber(z, 1.5, 0.2).log_prob(y).sum(), {z});  // δ s = 0.3
  const auto expected = torch::tensor({{25.0, 0.0}, {0.0, 0.0}}, torch::kDouble);
  EXPECT_LT(relative_error(h, expected), kRounding);
}

TEST(HuberTest, SamplesHaveTheDistributionFunction) {
  constexpr int64_t kDraws = 40000;
  constexpr double kScale = 0.2;
  for (const double delta : {0.05, 0.7, 1.0, 3.0, 40.0}) {
    const auto z = torch::full({kDraws}, 3.0, torch::kDouble);
    const auto d = (Huber(z, delta, kScale).sample(seeded(4)) - 3.0) / kScale;
    for (const double t : {0.01, 0.4, 0.69, 0.9, 1.0, 1.1, 2.0, 3.5, 30.0}) {
      const double p = distribution(t, delta);
      const double deviation = d.abs().le(t).to(torch::kDouble).mean().item<double>() - p;
      EXPECT_LE(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << delta << ", " << t;
    }
    EXPECT_LT(std::abs(d.sign().mean().item<double>()), 5 * std::sqrt(1.0 / kDraws)) << delta;
  }
}

TEST(HuberTest, SamplesForALargeDeltaAreNormalInFloat32) {
  constexpr int64_t kDraws = 200000;
  const auto y = Huber(torch::zeros({kDraws}, torch::kFloat), 1e10).sample(seeded(4));
  EXPECT_LT(y.abs().max().item<double>(), 8.3);  // the quantile of 2⁻⁵³
  // E y² = 1, with variance 2; five standard deviations.
  EXPECT_NEAR(y.square().mean().item<double>(), 1, 5 * std::sqrt(2.0 / kDraws));
}

TEST(HuberTest, ParametersThatAreNotPositiveAndFiniteThrow) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    expect_error([bad] { Huber likelihood(randn({2}, 1), bad); }, "delta");
    expect_error([bad] { Huber likelihood(randn({2}, 1), 1, bad); }, "scale");
  }
}

TEST(HuberTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = torch::zeros({2, 3}, torch::kDouble);
  y[1][2] = std::nan("");
  expect_error([&] { Huber(randn({2, 3}, 1)).log_prob(y); }, "y[1, 2] = ");
}

TEST(HuberTest, TextTellsParametersApart) {
  const auto z = randn({2}, 1);
  EXPECT_NE(Huber(z, 0.1, 1).describe(), Huber(z, std::nextafter(0.1, 1.0), 1).describe());
  EXPECT_NE(Huber(z, 1, 2).describe(), Huber(z, 2, 1).describe());
}

}  // namespace
}  // namespace natgrad::testing::huber_test
