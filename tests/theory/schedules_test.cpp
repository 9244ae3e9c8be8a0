// Eq. 6 with the schedule εᵢ = c/i of Robbins & Monro (1951; Martens, "New perspectives",
// section 9), as `InverseTime` takes it, on the mean of a Gaussian, one observation a step, where
// it can be followed exactly: θ_N is linear in the observations, and with c = 1 it is their mean,
// which no estimator beats (Amari 1998).

#include <natgrad/solvers/solver.h>
#include <natgrad/step_control/inverse_time.h>

#include "support/dense_model.h"
#include "theory/small_network.h"

namespace natgrad::testing::schedules_test {
namespace {

constexpr double kRounding = 1e-14;
constexpr double kVariance = 0.09;  // F = 1/σ², which the steps must undo

/// Eq. 6 with εᵢ = c/i.
NaturalGradientOptions with_schedule(double c) {
  return plain_natural_gradient(1).step_rule(InverseTime(c));
}

/// A step on the observation y, one for each mean.
void step(NaturalGradient& optimizer, const Tensor& mean, const Tensor& y) {
  optimizer.step(nll(Gaussian(mean.unsqueeze(0), kVariance), y.unsqueeze(0)));
}

TEST(SchedulesTest, OneOverIIsTheRunningMean) {
  const auto y = 3 + randn({100, 4}, 6111);
  const auto mean = parameter({4}, 6112);
  NaturalGradient optimizer({mean}, with_schedule(1));
  auto sum = torch::zeros({4}, torch::kDouble);
  for (int64_t i = 1; i <= y.size(0); ++i) {
    step(optimizer, mean, y[i - 1]);
    sum += y[i - 1];
    ASSERT_LT(relative_error(mean, sum / double(i)), kRounding) << "i = " << i;
  }
}

// ---- Var θ_N for any c: Σ w², w_k the weight of the k-th observation in θ_N. ----

/// w_k = c/k Π_{i>k} (1 - c/i), in closed form by the gamma function: c < 1, or it has poles.
Tensor weights_in_closed_form(int64_t n, double c) {
  const auto k = torch::arange(1, n + 1, torch::kDouble);
  const double end = std::lgamma(n + 1 - c) - std::lgamma(n + 1.);
  return c / k * (end + torch::lgamma(k + 1) - torch::lgamma(k + 1 - c)).exp();
}

/// N runs at once: the k-th sees 1 as its k-th observation and 0 otherwise, so that it ends at w_k.
Tensor weights_of_the_optimizer(int64_t n, double c) {
  const auto observations = torch::eye(n, torch::kDouble);
  const auto mean = torch::zeros({n}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({mean}, with_schedule(c));
  for (int64_t i = 0; i < n; ++i) step(optimizer, mean, observations[i]);
  return mean.detach();
}

TEST(SchedulesTest, WeighTheObservationsAsTheProductSays) {
  constexpr int64_t kSteps = 40;
  // Differences of logarithms of factorials, which are of order 100.
  constexpr double kGamma = 1e-12;
  for (const double c : {0.25, 0.5, 0.75}) {
    EXPECT_LT(
        relative_error(weights_of_the_optimizer(kSteps, c), weights_in_closed_form(kSteps, c)),
        kGamma)
        << "c = " << c;
  }
}

/// The same weights by the rule alone, for many steps: F⁻¹∇h of the observation y is θ - y.
Tensor weights_of_the_rule(int64_t n, double c) {
  const torch::NoGradGuard no_grad;
  InverseTime rule(c);
  const auto F = from_dense(torch::eye(1, torch::kDouble));
  const Tensor no_gradient;
  auto mean = torch::zeros({n}, torch::kDouble);
  for (int64_t i = 0; i < n; ++i) {
    auto delta = -mean;
    delta[i] += 1;
    const Solution solution{delta, {}};
    mean += rule.choose({0,
                         no_gradient,
                         F,
                         solution,
                         {},
                         [](const Tensor& v) { return v; },
                         unasked_model()})
                .displacement;
  }
  return mean;
}

/// N Var θ_N in units of σ² = F⁻¹.
double scaled_variance(int64_t n, double c) {
  return static_cast<double>(n) * number(weights_of_the_rule(n, c).square().sum());
}

struct Schedules : ::testing::TestWithParam<double> {};

TEST_P(Schedules, ComeToTheConstantOfTheLaw) {
  // N Var → c²/(2c - 1) F⁻¹ for c > ½, with a rest of order N^{1-2c} or 1/N, whichever is larger.
  constexpr int64_t kMany = 1024;
  const double c = GetParam(), law = c * c / (2 * c - 1);
  const auto rest = [&](int64_t n) { return std::abs(scaled_variance(n, c) / law - 1); };
  EXPECT_LT(rest(kMany), 2 * std::pow(kMany, -std::min(2 * c - 1, 1.)));
  if (c == 1) return;  // exactly
  EXPECT_NEAR(order(rest(kMany / 2), rest(kMany)), std::min(2 * c - 1, 1.), 0.02);
}

INSTANTIATE_TEST_SUITE_P(C, Schedules, ::testing::Values(0.6, 0.75, 1, 2, 4));

TEST(SchedulesTest, AtOneHalfTheVarianceHasALogarithmAndBelowIsSlower) {
  constexpr int64_t kMany = 1024;
  // Both with a rest of order 1/N.
  EXPECT_NEAR(scaled_variance(kMany, 0.5) - scaled_variance(kMany / 2, 0.5), 0.25 * std::log(2),
              1e-3);
  const auto variance = [](int64_t n) { return scaled_variance(n, 0.25) / double(n); };
  EXPECT_NEAR(order(variance(kMany / 2), variance(kMany)), 0.5, 0.02);
}

TEST(SchedulesTest, OneOverIIsTheMostEfficient) {
  constexpr int64_t kMany = 300;
  const double least = scaled_variance(kMany, 1);
  EXPECT_NEAR(least, 1, 1e-10);  // the Cramér-Rao bound F⁻¹/N
  for (const double c : {0.75, 0.9, 1.1, 2.}) EXPECT_GT(scaled_variance(kMany, c), least);
}

}  // namespace
}  // namespace natgrad::testing::schedules_test
