#include <natgrad/likelihoods/exponential.h>
#include <natgrad/likelihoods/log_rate_exponential.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::exponential_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

TEST(ExponentialTest, ClosedFormAtARateOfTwo) {
  const Exponential likelihood(number(-2));
  EXPECT_NEAR(likelihood.log_prob(number(3)).item<double>(), std::log(2.0) - 6, kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(0)).item<double>(), std::log(2.0), kRounding);
  EXPECT_NEAR(likelihood.score(number(3)).item<double>(), 2.5, kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(2)).item<double>(), 0.5, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(2)).item<double>(), 1, kRounding);
}

TEST(LogRateExponentialTest, ClosedFormAtARateOfTwo) {
  const LogRateExponential likelihood(number(std::log(2.0)));
  EXPECT_NEAR(likelihood.log_prob(number(3)).item<double>(), std::log(2.0) - 6, kRounding);
  EXPECT_NEAR(likelihood.score(number(3)).item<double>(), -5, kRounding);
  EXPECT_EQ(likelihood.fisher_multiply(number(2)).item<double>(), 2);
  EXPECT_EQ(likelihood.factor_multiply(number(2)).item<double>(), 2);
}

// score and F_R change with ∂z/∂η = -rate.
TEST(LogRateExponentialTest, IsTheExponentialByAnotherParameter) {
  const auto eta = randn({4, 3}, 1), y = randn({4, 3}, 2).exp(), v = randn({4, 3}, 3);
  const auto slope = -eta.exp();
  const LogRateExponential log_rate(eta);
  const Exponential natural(-eta.exp());
  EXPECT_LT(relative_error(log_rate.log_prob(y), natural.log_prob(y)), kRounding);
  EXPECT_LT(relative_error(log_rate.score(y), slope * natural.score(y)), kRounding);
  EXPECT_LT(relative_error(log_rate.fisher_multiply(v), slope * natural.fisher_multiply(slope * v)),
            kRounding);
}

// y e^η at y = 3/rate.
TEST(LogRateExponentialTest, TheHessianIsTheTimeInUnitsOfTheMean) {
  const auto eta = number(0.7).requires_grad_();
  const auto y = 3 * (-eta.detach()).exp();
  const auto h = hessian(-LogRateExponential(eta).log_prob(y), {eta});
  EXPECT_NEAR(h.item<double>(), 3, kRounding);
}

TEST(ExponentialTest, VerySlowAndVeryFastRates) {
  for (const double rate : {1e-150, 1e-8, 1e8, 1e150}) {
    const Exponential likelihood(number(-rate));
    const double f = likelihood.fisher_multiply(number(rate)).item<double>();
    EXPECT_NEAR(f * rate, 1, kRounding) << rate;
    EXPECT_NEAR(likelihood.log_prob(number(1 / rate)).item<double>(), std::log(rate) - 1,
                1e-15 * 350)  // of log rate
        << rate;
  }
}

TEST(ExponentialTest, SamplesHaveTheMeanAndVariance) {
  constexpr int64_t kDraws = 40000;
  const auto z = torch::full({kDraws}, std::log(4.0), torch::kDouble);
  for (const auto& y :
       {Exponential(-z.exp()).sample(seeded(4)), LogRateExponential(z).sample(seeded(5))}) {
    const auto x = 4 * y - 1;
    // Var x² = 8; five standard deviations.
    EXPECT_LT(std::abs(x.mean().item<double>()), 5 * std::sqrt(1.0 / kDraws));
    EXPECT_LT(std::abs(x.square().mean().item<double>() - 1), 5 * std::sqrt(8.0 / kDraws));
  }
}

TEST(ExponentialTest, RatesThatAreNotPositiveAreNamed) {
  for (const double bad : {0.0, 2.0, HUGE_VAL}) {
    const auto z = -torch::ones({2, 3}, torch::kDouble);
    z[1][2] = bad;
    expect_error([&] { Exponential likelihood(z); }, "z[1, 2] = ");
  }
  EXPECT_NO_THROW(Exponential likelihood(number(std::nan(""))));
}

TEST(ExponentialTest, TimesThatAreNegativeOrNotFiniteAreNamed) {
  for (const double bad : {-1e-3, std::nan(""), HUGE_VAL}) {
    const auto y = torch::ones({2, 3}, torch::kDouble);
    y[0][1] = bad;
    const Exponential natural(-torch::ones({2, 3}, torch::kDouble));
    const LogRateExponential log_rate(torch::ones({2, 3}, torch::kDouble));
    expect_error([&] { natural.log_prob(y); }, "y[0, 1] = ");
    expect_error([&] { log_rate.score(y); }, "y[0, 1] = ");
  }
}

}  // namespace
}  // namespace natgrad::testing::exponential_test
