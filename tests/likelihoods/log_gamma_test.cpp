#include <natgrad/likelihoods/log_gamma.h>

#include <array>
#include <cmath>
#include <numbers>

#include "support/oracles.h"

namespace natgrad::testing::log_gamma_test {
namespace {

// A few roundings of relative size 1e-16, and the last term of the series.
constexpr double kRounding = 1e-13;

constexpr double kEuler = std::numbers::egamma, kPi = std::numbers::pi;

/// The value and three derivatives of a function of one number, by repeated backward.
std::vector<double> derivatives(Tensor (*function)(const Tensor&), double x) {
  auto at = torch::tensor(x, torch::kDouble).requires_grad_();
  auto value = function(at);
  std::vector<double> result = {value.item<double>()};
  for (int order = 1; order <= 3; ++order) {
    value = torch::autograd::grad({value}, {at}, {}, true, true)[0];
    result.push_back(value.item<double>());
  }
  return result;
}

void expect_derivatives(double x, const std::vector<double>& expected) {
  const auto actual = derivatives(log_gamma, x);
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_NEAR(actual[k], expected[k], kRounding * (1 + std::abs(expected[k])))
        << "derivative " << k << " at " << x;
  }
}

// ψ(½) = -γ - 2 log 2, ψ₁(½) = π²/2, ψ₁(1) = π²/6.
TEST(LogGammaTest, ClosedFormsAtAHalfAndAtOne) {
  expect_derivatives(0.5, {0.5 * std::log(kPi), -kEuler - 2 * std::log(2.0), kPi * kPi / 2});
  expect_derivatives(1, {0, -kEuler, kPi * kPi / 6, -2 * 1.2020569031595942});
}

// log Γ(x + n) = log Γ(x) + Σ log(x + k), with its derivatives, on both sides of where the series
// begins.
TEST(LogGammaTest, DerivativesFollowTheRecurrence) {
  for (const double x : {0.25, 0.5, 1.0}) {
    for (const int n : {1, 5, 14, 15, 16, 17, 30, 200}) {
      auto expected = derivatives(log_gamma, x);
      for (int k = 0; k < n; ++k) {
        const double y = x + k;
        expected[0] += std::log(y);
        expected[1] += 1 / y;
        expected[2] -= 1 / (y * y);
        expected[3] += 2 / (y * y * y);
      }
      expect_derivatives(x + n, expected);
    }
  }
}

// By mpmath in 50 digits.
TEST(LogGammaTest, ExcessesKeepTheirRelativeDigits) {
  const std::vector<std::array<double, 4>> known = {
      {20, -0.57476128388032583, -0.025208281311841943, 0.0012708229352031198},
      {100, -1.382813229233738, -0.0050083332500039678, 5.0166663333571395e-5},
      {1e4, -3.6862233194500881, -5.00008333333325e-5, 5.0001666666663333e-9},
      {1e8, -8.2914018379381767, -5.0000000083333333e-9, 5.0000000166666667e-17}};
  for (const auto& [x, value, first, second] : known) {
    const auto t = torch::tensor(x, torch::kDouble);
    EXPECT_NEAR(log_gamma_excess(t).item<double>() / value, 1, kRounding) << x;
    EXPECT_NEAR(digamma_excess(t).item<double>() / first, 1, kRounding) << x;
    EXPECT_NEAR(trigamma_excess(t).item<double>() / second, 1, kRounding) << x;
  }
}

// Where the branches meet.
TEST(LogGammaTest, TheSeriesContinuesTheDifference) {
  const auto below = torch::tensor(std::nextafter(16.0, 0.0), torch::kDouble);
  const auto above = torch::tensor(16.0, torch::kDouble);
  EXPECT_LT(relative_error(log_gamma_excess(below), log_gamma_excess(above)), kRounding);
  EXPECT_LT(relative_error(digamma_excess(below), digamma_excess(above)), kRounding);
  EXPECT_LT(relative_error(trigamma_excess(below), trigamma_excess(above)), kRounding);
}

TEST(LogGammaTest, Float32HasAllItsDigits) {
  constexpr double kRoundingFloat = 2e-7;
  const auto x = torch::tensor({0.3, 2.5, 40.0, 1e4}, torch::kFloat), wide = x.to(torch::kDouble);
  EXPECT_EQ(log_gamma(x).scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(log_gamma(x), log_gamma(wide)), kRoundingFloat);
  EXPECT_LT(relative_error(trigamma_excess(x), trigamma_excess(wide)), kRoundingFloat);
}

}  // namespace
}  // namespace natgrad::testing::log_gamma_test
