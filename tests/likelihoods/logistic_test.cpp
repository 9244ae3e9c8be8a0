#include <natgrad/likelihoods/logistic.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::logistic_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

TEST(LogisticTest, ClosedFormWithAScale) {
  const Logistic likelihood(number(1), 2);
  const double d = 1.5;  // 1/(4 s cosh²(d/2))
  const double log_prob = -std::log(8) - 2 * std::log(std::cosh(0.5 * d));
  EXPECT_NEAR(likelihood.log_prob(number(4)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(-2)).item<double>(), log_prob, kRounding);
  EXPECT_NEAR(likelihood.score(number(4)).item<double>(), std::tanh(0.5 * d) / 2, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>(), 1.0 / 12, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>(), std::sqrt(1.0 / 12), kRounding);
}

// Also at the center, and where the density is 1e-300, to all digits.
TEST(LogisticTest, TheHessianIsThatOfTheHyperbolicCosine) {
  const auto z = torch::zeros({7}, torch::kDouble).requires_grad_();
  const auto y = torch::tensor({0.0, 0.3, -1.0, 20.0, -40.0, 300.0, -690.0}, torch::kDouble);
  const auto h = hessian(-Logistic(z).log_prob(y).sum(), {z}).diagonal();
  const auto ratio = h * 2 * (0.5 * y).cosh().square();
  EXPECT_LT((ratio - 1).abs().max().item<double>(), 100 * kRounding);  // cosh of a large number
}

TEST(LogisticTest, ExtremeScalesAreFollowedExactly) {
  const Logistic narrow(number(1e4), 1e-8), wide(number(0), 1e150);
  const double log_prob = -2e12 - std::log(1e-8);
  EXPECT_NEAR(narrow.log_prob(number(-1e4)).item<double>() / log_prob, 1, kRounding);
  EXPECT_NEAR(wide.fisher_multiply(number(1)).item<double>() / (1e-300 / 3), 1, kRounding);
}

TEST(LogisticTest, SamplesHaveTheDistributionFunction) {
  constexpr int64_t kDraws = 40000;
  const auto z = torch::full({kDraws}, 3.0, torch::kDouble);
  const auto x = (Logistic(z, 0.2).sample(seeded(4)) - 3.0) / 0.2;
  for (const double t : {-8.0, -3.0, -1.0, -0.2, 0.0, 0.4, 1.5, 5.0}) {
    const double p = 1 / (1 + std::exp(-t));
    const double deviation = x.le(t).to(torch::kDouble).mean().item<double>() - p;
    EXPECT_LE(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << t;
  }
}

TEST(LogisticTest, ScalesThatAreNotPositiveAndFiniteThrow) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    expect_error([bad] { Logistic likelihood(randn({2}, 1), bad); }, "scale");
  }
}

TEST(LogisticTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = torch::zeros({2, 3}, torch::kDouble);
  y[0][2] = HUGE_VAL;
  expect_error([&] { Logistic(randn({2, 3}, 1)).log_prob(y); }, "y[0, 2] = ");
}

TEST(LogisticTest, TextTellsScalesApart) {
  const auto z = randn({2}, 1);
  EXPECT_NE(Logistic(z, 0.1).describe(), Logistic(z, std::nextafter(0.1, 1.0)).describe());
}

}  // namespace
}  // namespace natgrad::testing::logistic_test
