#include <natgrad/step_control/inverse_time.h>

#include "step_control/quadratic_descent.h"

namespace natgrad::testing::inverse_time_test {
namespace {

constexpr double kRounding = 1e-14;

/// The mean of a Gaussian of covariance C⁻¹: h of one observation y has its minimum there.
QuadraticDescent gaussian_mean(const Tensor& start) {
  return {random_spd(4, 10, 1), torch::zeros({4}, torch::kDouble), start};
}

// θ_i = θ_{i-1} + (y_i - θ_{i-1})/i, from any θ₀.
TEST(InverseTimeTest, WithCOneThetaIsTheSampleMean) {
  const auto y = 3 + randn({100, 4}, 2);
  auto descent = gaussian_mean(randn({4}, 3));
  InverseTime rule;
  for (int64_t i = 1; i <= y.size(0); ++i) {
    descent.minimum = y[i - 1];
    descent.step(rule);
    ASSERT_LT(relative_error(descent.theta, y.narrow(0, 0, i).mean(0)), kRounding) << "i = " << i;
  }
}

// θ_N - θ* = Π (1 - c/i) (θ₀ - θ*) for one fixed minimum: Γ(N + 1 - c) / (Γ(N + 1) Γ(1 - c)).
TEST(InverseTimeTest, ForAnyCTheStartIsForgottenAsTheProduct) {
  constexpr int kSteps = 30;
  for (const double c : {0.25, 0.5, 0.9}) {
    auto descent = gaussian_mean(randn({4}, 3));
    const auto start = descent.theta;
    InverseTime rule(c);
    for (int i = 0; i < kSteps; ++i) descent.step(rule);
    const double left =
        std::exp(std::lgamma(kSteps + 1 - c) - std::lgamma(kSteps + 1) - std::lgamma(1 - c));
    EXPECT_LT(relative_error(descent.theta, left * start), 100 * kRounding) << "c = " << c;
  }
}

TEST(InverseTimeTest, TheLearningRateMultipliesIt) {
  auto descent = gaussian_mean(randn({4}, 3));
  descent.rate = 0.5;
  InverseTime rule;
  rule.set_state({3});
  const auto start = descent.theta;
  descent.step(rule);
  EXPECT_LT(relative_error(descent.theta, 0.875 * start), kRounding);  // ½ · ¼ of the way to 0
  EXPECT_EQ(rule.state(), std::vector<double>{4});
}

TEST(InverseTimeTest, KeepsTheSolutionForAWarmStart) {
  auto descent = gaussian_mean(randn({4}, 3));
  InverseTime rule(0.5);
  const auto kept = descent.choose(rule).kept;
  EXPECT_LT(relative_error(kept, -descent.theta), kRounding);
  EXPECT_FALSE(rule.keeps_displacement());
}

}  // namespace
}  // namespace natgrad::testing::inverse_time_test
