#include <natgrad/likelihoods/natural_negative_binomial.h>
#include <natgrad/likelihoods/negative_binomial.h>
#include <natgrad/likelihoods/poisson.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::negative_binomial_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-13;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

// p = 3/4: (y + 1) (1/4)² (3/4)^y.
TEST(NegativeBinomialTest, ClosedFormOfTwoFailures) {
  const NegativeBinomial likelihood(number(std::log(3.0)), 2);
  EXPECT_NEAR(likelihood.log_prob(number(2)).item<double>(), std::log(27.0 / 256), kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(0)).item<double>(), std::log(1.0 / 16), kRounding);
  EXPECT_NEAR(likelihood.score(number(2)).item<double>(), 0.5 - 1.5, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(2)).item<double>(), 3, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(2)).item<double>(), 2 * std::sqrt(1.5), kRounding);
}

TEST(NaturalNegativeBinomialTest, ClosedFormOfTwoFailures) {
  const NaturalNegativeBinomial likelihood(number(std::log(0.75)), 2);
  EXPECT_NEAR(likelihood.log_prob(number(2)).item<double>(), std::log(27.0 / 256), kRounding);
  EXPECT_NEAR(likelihood.score(number(2)).item<double>(), 2 - 6, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(2)).item<double>(), 48, kRounding * 48);
  EXPECT_NEAR(likelihood.factor_multiply(number(2)).item<double>(), 2 * std::sqrt(24.0),
              kRounding * 10);
}

TEST(NegativeBinomialTest, TheHessianIsThatOfTheCount) {
  for (const double y : {0.0, 1.0, 40.0}) {
    const auto z = number(0.4).requires_grad_();
    const auto h = hessian(-NegativeBinomial(z, 2.5).log_prob(number(y)), {z});
    const double p = 1 / (1 + std::exp(-0.4));
    EXPECT_NEAR(h.item<double>(), (y + 2.5) * p * (1 - p), kRounding * (1 + y)) << y;
  }
}

// score and F_R change with ∂(log p)/∂z = 1 - p.
TEST(NaturalNegativeBinomialTest, IsTheNegativeBinomialByAnotherParameter) {
  constexpr double kFailures = 0.7;
  const auto z = randn({4, 3}, 1), y = (4 * randn({4, 3}, 2).abs()).round(), v = randn({4, 3}, 3);
  const auto slope = torch::sigmoid(-z);
  const NegativeBinomial by_logits(z, kFailures);
  const NaturalNegativeBinomial natural(torch::log_sigmoid(z), kFailures);
  EXPECT_LT(relative_error(natural.log_prob(y), by_logits.log_prob(y)), kRounding);
  EXPECT_LT(relative_error(slope * natural.score(y), by_logits.score(y)), kRounding);
  EXPECT_LT(
      relative_error(slope * natural.fisher_multiply(slope * v), by_logits.fisher_multiply(v)),
      kRounding);
}

// By mpmath; log Γ(y + r) alone is 3e13 in the last.
TEST(NegativeBinomialTest, LogProbKeepsItsDigitsAtLargeCounts) {
  const auto log_prob = [](double y, double r, double z) {
    return NegativeBinomial(number(z), r).log_prob(number(y)).item<double>();
  };
  EXPECT_NEAR(log_prob(7, 2.5, 0.4), -2.99415570854061487, kRounding);
  EXPECT_NEAR(log_prob(1e6, 2.5, 12.9), -14.3094686093898892, kRounding * 15);
  EXPECT_NEAR(log_prob(1e12, 0.3, 29), -29.3918793407059005, kRounding * 1e3);  // y roundings of 1
}

TEST(NegativeBinomialTest, ManyFailuresOfLittleChanceAreAPoisson) {
  constexpr double kFailures = 1e10, kOrder = 1e-8;  // relative distance (y² + λ²)/r
  const auto log_rate = randn({5}, 1), y = torch::arange(5, torch::kDouble);
  const NegativeBinomial likelihood(log_rate - std::log(kFailures), kFailures);
  EXPECT_LT(relative_error(likelihood.log_prob(y), Poisson(log_rate).log_prob(y)), kOrder);
  EXPECT_LT(relative_error(likelihood.score(y), Poisson(log_rate).score(y)), kOrder);
}

TEST(NaturalNegativeBinomialTest, FisherFromCertainFailureToCertainSuccess) {
  for (const double z : {-700.0, -40.0, -1e-3, -1e-12}) {
    const NaturalNegativeBinomial likelihood(number(z), 2);
    const double q = std::expm1(z), f = 2 * std::exp(z) / (q * q);
    EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>() / f, 1, 1e-12) << z;
    const auto at = number(z).requires_grad_();
    const auto h = hessian(-NaturalNegativeBinomial(at, 2).log_prob(number(3)), {at});
    EXPECT_NEAR(h.item<double>() / f, 1, 1e-12) << z;
  }
}

TEST(NegativeBinomialTest, SamplesHaveTheMeanAndVariance) {
  constexpr int64_t kDraws = 40000;
  for (const double r : {0.5, 4.0}) {
    for (const double z : {-1.0, 0.5, 25.0}) {
      const auto outputs = torch::full({kDraws}, z, torch::kDouble);
      const double mean = r * std::exp(z), sigma = std::sqrt(mean * (1 + std::exp(z)));
      for (const auto& y :
           {NegativeBinomial(outputs, r).sample(seeded(4)),
            NaturalNegativeBinomial(torch::log_sigmoid(outputs), r).sample(seeded(5))}) {
        EXPECT_TRUE(identical(y, y.round()));
        const auto x = (y - mean) / sigma;
        // Var x² = 2 + 6/r + 1/σ²; five standard deviations.
        const double variance = 2 + 6 / r + 1 / (sigma * sigma);
        EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws)) << r << ' ' << z;
        EXPECT_LT(std::abs(x.square().mean().item<double>() - 1), 5 * std::sqrt(variance / kDraws))
            << r << ' ' << z;
      }
    }
  }
}

TEST(NegativeBinomialTest, TargetsThatAreNotCountsAreNamed) {
  const NegativeBinomial by_logits(randn({2, 3}, 1), 2.5);
  const NaturalNegativeBinomial natural(-randn({2, 3}, 1).exp(), 2.5);
  for (const double bad : {-1.0, 0.5, std::nan(""), HUGE_VAL}) {
    const auto y = torch::ones({2, 3}, torch::kDouble);
    y[1][0] = bad;
    expect_error([&] { by_logits.log_prob(y); }, "y[1, 0] = ");
    expect_error([&] { natural.score(y); }, "y[1, 0] = ");
  }
}

TEST(NegativeBinomialTest, UnusableParametersThrow) {
  for (const double bad : {0.0, -1.0, HUGE_VAL, std::nan("")}) {
    expect_error([&] { NegativeBinomial(number(0), bad); }, "failures r is positive");
    expect_error([&] { NaturalNegativeBinomial(number(-1), bad); }, "failures r is positive");
  }
  for (const double bad : {0.0, 1e-300, HUGE_VAL}) {
    const auto z = -torch::ones({2, 2}, torch::kDouble);
    z[0][1] = bad;
    expect_error([&] { NaturalNegativeBinomial(z, 2); }, "z[0, 1] = ");
  }
}

}  // namespace
}  // namespace natgrad::testing::negative_binomial_test
