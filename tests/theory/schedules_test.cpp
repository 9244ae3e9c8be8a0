// Eq. 6 with the schedule εᵢ = c/i (Martens, "New perspectives", section 9) on the mean of a
// Gaussian, one observation a step, where it can be followed exactly: θ_N is linear in the
// observations, and with c = 1 it is their mean, which no estimator beats (Amari 1998).

#include "theory/small_network.h"

namespace natgrad::testing::schedules_test {
namespace {

constexpr double kRounding = 1e-14;
constexpr double kVariance = 0.09;  // F = 1/σ², which the steps must undo

/// Takes the i-th step (from 1) on the observation y, one for each mean.
void step(NaturalGradient& optimizer, const Tensor& mean, const Tensor& y, double c, int64_t i) {
  optimizer.param_groups()[0].options().set_lr(c / static_cast<double>(i));
  optimizer.step(nll(Gaussian(mean.unsqueeze(0), kVariance), y.unsqueeze(0)));
}

TEST(SchedulesTest, OneOverIIsTheRunningMean) {
  const auto y = 3 + randn({100, 4}, 6111);
  const auto mean = parameter({4}, 6112);
  NaturalGradient optimizer({mean}, plain_natural_gradient(1));
  auto sum = torch::zeros({4}, torch::kDouble);
  for (int64_t i = 1; i <= y.size(0); ++i) {
    step(optimizer, mean, y[i - 1], 1, i);
    sum += y[i - 1];
    ASSERT_LT(relative_error(mean, sum / double(i)), kRounding) << "i = " << i;
  }
}

// ---- Var θ_N for any c. ----

/// V_N = (1 - c/N)² V_{N-1} + c²/N², the variance in units of σ² = F⁻¹.
double variance_after(int64_t n, double c) {
  double variance = 0;
  for (int64_t i = 1; i <= n; ++i) {
    const double rate = c / static_cast<double>(i);
    variance = (1 - rate) * (1 - rate) * variance + rate * rate;
  }
  return variance;
}

struct Schedules : ::testing::TestWithParam<double> {};

TEST_P(Schedules, HaveTheVarianceOfTheRecursion) {
  // N runs at once: the k-th sees 1 as its k-th observation and 0 otherwise, so that it ends at the
  // weight of the k-th observation in θ_N.
  constexpr int64_t kSteps = 60;
  const auto observations = torch::eye(kSteps, torch::kDouble);
  const auto mean = torch::zeros({kSteps}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({mean}, plain_natural_gradient(1));
  for (int64_t i = 1; i <= kSteps; ++i) step(optimizer, mean, observations[i - 1], GetParam(), i);
  const double variance = mean.detach().square().sum().item<double>();
  EXPECT_NEAR(variance / variance_after(kSteps, GetParam()), 1, 100 * kRounding);
}

TEST_P(Schedules, ComeToTheirConstant) {
  // N Var → c²/(2c - 1) F⁻¹ for c > ½, with terms of order N^{1-2c} and 1/N; at ½ a logarithm;
  // below it Var falls like N^{-2c} only.
  constexpr int64_t kMany = 1 << 20;
  const double c = GetParam();
  const auto scaled = [&](int64_t n) { return static_cast<double>(n) * variance_after(n, c); };
  if (c > 0.5) {
    EXPECT_NEAR(scaled(kMany) / (c * c / (2 * c - 1)), 1, 2e-3);
  } else if (c == 0.5) {
    EXPECT_NEAR(scaled(kMany) - scaled(kMany / 2), c * c * std::log(2), 1e-5);
  } else {
    EXPECT_NEAR(order(variance_after(kMany / 2, c), variance_after(kMany, c)), 2 * c, 2e-3);
  }
}

INSTANTIATE_TEST_SUITE_P(C, Schedules, ::testing::Values(0.25, 0.5, 0.75, 1, 2, 4));

TEST(SchedulesTest, OneOverIIsTheMostEfficient) {
  constexpr int64_t kMany = 10000;
  EXPECT_NEAR(kMany * variance_after(kMany, 1), 1, 1e-10);  // the Cramér-Rao bound F⁻¹/N
  for (const double c : {0.75, 0.9, 1.1, 2.}) {
    EXPECT_GT(variance_after(kMany, c), variance_after(kMany, 1));
  }
}

}  // namespace
}  // namespace natgrad::testing::schedules_test
