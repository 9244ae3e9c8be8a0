#include <natgrad/step_control/adaptive_rate.h>

#include "step_control/quadratic_descent.h"

namespace natgrad::testing::adaptive_rate_test {
namespace {

constexpr double kRounding = 1e-13;

/// A loss of the value h wherever it is: θ lies on its minimum.
QuadraticDescent constant(double h) {
  const auto zero = torch::zeros({1}, torch::kDouble);
  QuadraticDescent descent(torch::ones({1, 1}, torch::kDouble), zero, zero);
  descent.least = h;
  return descent;
}

/// h(θ) = ½ θ² with F = 1, at the θ of the given loss.
QuadraticDescent parabola(double loss) {
  auto descent = constant(0);
  descent.theta = torch::full({1}, std::sqrt(2 * loss), torch::kDouble);
  return descent;
}

double rate(const StepRule& rule) { return rule.state().front(); }

TEST(AdaptiveRateTest, TheStepIsOfTheRateBeforeAndTheRateFollowsTheLossBefore) {
  auto descent = parabola(2);  // θ = 2, δ = -2
  descent.rate = 0.5;
  auto rule = AdaptiveRate().initial(0.25).alpha(2).beta(0.5).least_loss(0.5);
  const auto step = descent.step(rule);
  EXPECT_NEAR(step.displacement.item<double>(), 0.25 * 0.5 * -2, kRounding);
  EXPECT_NEAR(step.kept.item<double>(), -2, kRounding);
  EXPECT_NEAR(rate(rule), 0.25 * std::exp(2 * (0.5 * 1.5 - 0.25)), kRounding);
}

TEST(AdaptiveRateTest, AConstantLossHasTheRateBetaTimesIt) {
  for (const double h : {0.4, 1., 2.5}) {  // αβh from 0.16 to 1
    for (const double start : {1e-3, 0.9}) {
      auto descent = constant(h);
      auto rule = AdaptiveRate().initial(start);
      for (int t = 0; t < 250; ++t) descent.step(rule);
      EXPECT_NEAR(rate(rule) / (0.1 * h), 1, kRounding) << "h = " << h << " from " << start;
    }
  }
}

// To the fixed point from one side, as the equation dη/dt = αη(βh - η) does, while αβh ≤ 1.
TEST(AdaptiveRateTest, TendsToItMonotonically) {
  const double h = 2.5, limit = 0.25;
  auto descent = constant(h);
  for (const double start : {1e-3, 0.24}) {
    auto rule = AdaptiveRate().initial(start);
    for (int t = 0; t < 50; ++t) {
      const double before = rate(rule);
      descent.step(rule);
      ASSERT_GE(rate(rule), before);
      ASSERT_LE(rate(rule), limit * (1 + kRounding));
    }
  }
}

// eˣ ≥ 1 + x: 1/η grows by at least α a step; eˣ ≤ 1 + x + x² for x ≤ 1: by at most α + α²η.
TEST(AdaptiveRateTest, AtTheLeastLossItFallsLikeOneOverT) {
  constexpr double kAlpha = 4, kStart = 0.25;
  auto descent = constant(1.5);
  auto rule = AdaptiveRate().initial(kStart).alpha(kAlpha).least_loss(1.5);
  double sum = 0;  // of η
  for (int t = 1; t <= 1000; ++t) {
    const double before = rate(rule);
    sum += before;
    descent.step(rule);
    const double inverse = 1 / rate(rule), slowest = 1 / kStart + kAlpha * t;
    ASSERT_LT(rate(rule), before);
    ASSERT_GE(inverse * (1 + kRounding), slowest);
    ASSERT_LE(inverse * (1 - kRounding), slowest + kAlpha * kAlpha * sum);
  }
}

// Amari's solution of the averaged equations, η = 1/(2t) and h = (½ - 1/α)/(βt): what differs
// from it at the start, and what steps of length one add, falls like 1/t.
TEST(AdaptiveRateTest, TheLossFallsLikeOneOverT) {
  constexpr double kAlpha = 8, kBeta = 0.5, kStart = 50;
  auto descent = parabola((0.5 - 1 / kAlpha) / (kBeta * kStart));
  auto rule = AdaptiveRate().initial(1 / (2 * kStart)).alpha(kAlpha).beta(kBeta);
  double t = kStart;
  const auto errors = [&](double until) {
    for (; t < until; ++t) descent.step(rule);
    return std::max(std::abs(2 * t * rate(rule) - 1),
                    std::abs(descent.start() * kBeta * t / (0.5 - 1 / kAlpha) - 1));
  };
  const double sooner = errors(750), later = errors(3000);
  EXPECT_LT(later, 0.01);
  EXPECT_NEAR(sooner / later, 4, 1.5);  // 4, but for a logarithm
}

TEST(AdaptiveRateTest, FromAFarStartRateAndLossFallMonotonically) {
  auto descent = parabola(1.25);
  auto rule = AdaptiveRate().initial(0.125);  // βh
  for (int t = 0; t < 300; ++t) {
    const double rate_before = rate(rule), loss_before = descent.start();
    descent.step(rule);
    ASSERT_LE(rate(rule), rate_before) << "t = " << t;
    ASSERT_LT(descent.start(), loss_before) << "t = " << t;
    ASSERT_GT(rate(rule), 0);
  }
}

TEST(AdaptiveRateTest, AfterAChangeOfTheDataItGrowsAgain) {
  auto descent = parabola(1.25);
  AdaptiveRate rule;
  for (int t = 0; t < 100; ++t) descent.step(rule);
  const double settled = rate(rule);
  descent.minimum = descent.minimum + 2;
  for (int t = 0; t < 5; ++t) descent.step(rule);
  EXPECT_GT(rate(rule), 5 * settled);
}

TEST(AdaptiveRateTest, StaysPositiveAndBoundedWhateverTheLoss) {
  for (const double h : {1e300, -1e300, HUGE_VAL, -HUGE_VAL, std::nan(""), 0., 1e-300}) {
    auto descent = constant(h);
    for (const double alpha : {4., 1e6}) {
      auto rule = AdaptiveRate().alpha(alpha);
      for (int t = 0; t < 3; ++t) {
        descent.step(rule);
        EXPECT_GT(rate(rule), 0) << h;
        EXPECT_LE(rate(rule), 1) << h;
      }
      descent.least = 1e300;  // and comes back from as low as it got
      descent.step(rule);
      EXPECT_EQ(rate(rule), 1) << h;
      descent.least = h;
    }
  }
}

TEST(AdaptiveRateTest, ALossBelowTheLeastCountsAsTheLeast) {
  auto below = constant(-3), at = constant(2);
  auto one = AdaptiveRate().least_loss(2), other = AdaptiveRate().least_loss(2);
  below.step(one);
  at.step(other);
  EXPECT_EQ(rate(one), rate(other));
}

TEST(AdaptiveRateTest, AStateAboveTheLargestIsTheLargest) {
  AdaptiveRate rule;
  rule.set_state({7});
  EXPECT_EQ(rate(rule), 1);
  for (const double bad : {0., -1., HUGE_VAL}) {
    expect_error([&] { rule.set_state({bad}); }, "AdaptiveRate's state");
  }
}

}  // namespace
}  // namespace natgrad::testing::adaptive_rate_test
