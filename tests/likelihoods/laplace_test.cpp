#include <natgrad/likelihoods/laplace.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::laplace_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

TEST(LaplaceTest, ClosedFormWithAScale) {
  const Laplace likelihood(number(1), 2);
  EXPECT_NEAR(likelihood.log_prob(number(4)).item<double>(), -1.5 - std::log(4.0), kRounding);
  EXPECT_NEAR(likelihood.log_prob(number(-2)).item<double>(), -1.5 - std::log(4.0), kRounding);
  EXPECT_EQ(likelihood.score(number(4)).item<double>(), 0.5);
  EXPECT_EQ(likelihood.score(number(-2)).item<double>(), -0.5);
  EXPECT_EQ(likelihood.score(number(1)).item<double>(), 0);  // the kink: l1_loss's subgradient
  EXPECT_EQ(likelihood.fisher_multiply(number(4)).item<double>(), 1);
  EXPECT_EQ(likelihood.factor_multiply(number(4)).item<double>(), 2);
}

TEST(LaplaceTest, IsTheAbsoluteErrorUpToAConstant) {
  const auto z = randn({4, 3}, 1).requires_grad_();
  const auto y = randn({4, 3}, 2);
  const auto loss = torch::l1_loss(z, y, at::Reduction::Sum);
  EXPECT_TRUE(identical(-Laplace(z).score(y), torch::autograd::grad({loss}, {z})[0]));
  const double constant = (-Laplace(z).log_prob(y).sum() - loss).item<double>();
  EXPECT_NEAR(constant, 12 * std::log(2.0), 12 * kRounding);
}

TEST(LaplaceTest, TheHessianIsZero) {
  const auto z = randn({3}, 1).requires_grad_();
  const auto h = hessian(-Laplace(z).log_prob(randn({3}, 2)).sum(), {z});
  EXPECT_EQ(h.abs().max().item<double>(), 0);
}

TEST(LaplaceTest, ExtremeScalesAreFollowedExactly) {
  const Laplace narrow(number(1e4), 1e-8), wide(number(0), 1e150);
  const double log_prob = -2e12 - std::log(2e-8);
  EXPECT_NEAR(narrow.log_prob(number(-1e4)).item<double>() / log_prob, 1, kRounding);
  EXPECT_NEAR(narrow.fisher_multiply(number(1)).item<double>() / 1e16, 1, kRounding);
  EXPECT_NEAR(wide.fisher_multiply(number(1)).item<double>() / 1e-300, 1, kRounding);
}

TEST(LaplaceTest, SamplesHaveTheMomentsOfALaplace) {
  constexpr int64_t kDraws = 40000;
  const auto z = torch::full({kDraws}, 3.0, torch::kDouble);
  const auto x = (Laplace(z, 0.5).sample(seeded(4)) - 3.0) / 0.5;
  // E|x|ⁿ = n!, with variances (2n)! - n!²; five standard deviations.
  const double moments[] = {1, 2, 6}, variances[] = {1, 20, 684};
  for (int n = 1; n <= 3; ++n) {
    const double deviation = x.abs().pow(n).mean().item<double>() - moments[n - 1];
    EXPECT_LT(std::abs(deviation), 5 * std::sqrt(variances[n - 1] / kDraws)) << "moment " << n;
  }
  EXPECT_LT(std::abs(x.sign().mean().item<double>()), 5 * std::sqrt(1.0 / kDraws));
}

TEST(LaplaceTest, ScalesThatAreNotPositiveAndFiniteThrow) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    expect_error([bad] { Laplace likelihood(randn({2}, 1), bad); }, "scale");
  }
}

TEST(LaplaceTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = torch::zeros({2, 3}, torch::kDouble);
  y[0][2] = HUGE_VAL;
  expect_error([&] { Laplace(randn({2, 3}, 1)).log_prob(y); }, "y[0, 2] = ");
}

TEST(LaplaceTest, TextTellsScalesApart) {
  const auto z = randn({2}, 1);
  EXPECT_NE(Laplace(z, 0.1).describe(), Laplace(z, std::nextafter(0.1, 1.0)).describe());
}

}  // namespace
}  // namespace natgrad::testing::laplace_test
