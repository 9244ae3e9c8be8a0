#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/student_t.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::student_t_test {
namespace {

constexpr double kPi = std::numbers::pi;
// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor number(double value) { return torch::tensor(value, torch::kDouble); }

/// P(t <= x) for 1, 2 and 4 degrees of freedom.
double distribution(double x, int freedom) {
  if (freedom == 1) return 0.5 + std::atan(x) / kPi;
  if (freedom == 2) return 0.5 + 0.5 * x / std::sqrt(2 + x * x);
  const double u = 1 + x * x / 4;
  return 0.5 + 0.375 * x / std::sqrt(u) * (1 - x * x / (12 * u));
}

TEST(StudentTTest, ClosedFormWithThreeDegreesOfFreedom) {
  const StudentT likelihood(number(1), 3, 2);
  // 2/(√3 π s (1 + d²/3)²) at d = (4 - 1)/2.
  const double density = 2 / (std::sqrt(3.0) * kPi * 2 * std::pow(1 + 2.25 / 3, 2));
  EXPECT_NEAR(likelihood.log_prob(number(4)).item<double>(), std::log(density), kRounding);
  EXPECT_NEAR(likelihood.score(number(4)).item<double>(), 4 * 3 / (3 * 4 + 9.0), kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>(), 4.0 / 6 / 4, kRounding);
  EXPECT_NEAR(likelihood.factor_multiply(number(1)).item<double>(), std::sqrt(1.0 / 6), kRounding);
}

TEST(StudentTTest, TheCauchyHasOneDegreeOfFreedom) {
  const Cauchy likelihood(number(1), 2);
  EXPECT_NEAR(likelihood.log_prob(number(4)).item<double>(), -std::log(kPi * 2 * (1 + 2.25)),
              kRounding);
  EXPECT_NEAR(likelihood.fisher_multiply(number(1)).item<double>(), 1 / 8.0, kRounding);
  EXPECT_EQ(likelihood.describe(), StudentT(number(1), 1, 2).describe());
}

TEST(StudentTTest, IsAGaussianForManyDegreesOfFreedom) {
  constexpr double kFreedom = 1e13;  // the difference is of order 1/ν
  const auto z = randn({5}, 1), y = randn({5}, 2), v = randn({5}, 3);
  const StudentT student(z, kFreedom, 0.5);
  const Gaussian gaussian(z, 0.25);
  EXPECT_LT(relative_error(student.log_prob(y), gaussian.log_prob(y)), 1e-11);
  EXPECT_LT(relative_error(student.score(y), gaussian.score(y)), 1e-11);
  EXPECT_LT(relative_error(student.fisher_multiply(v), gaussian.fisher_multiply(v)), 1e-11);
}

// Γ(x + 1) = x Γ(x) gives the ratio of the densities at their centers, (ν+1)/√(ν(ν+2)).
TEST(StudentTTest, NormalisersFollowTheRecurrenceOfTheGammaFunction) {
  constexpr double kLgamma = 2e-13;  // differences of numbers up to 10³
  for (const double nu : {0.3, 1.0, 7.5, 100.0, 398.5, 399.5, 1e3, 1e5}) {
    const auto at_center = [](double freedom) {
      return StudentT(number(0), freedom).log_prob(number(0)).item<double>();
    };
    const double expected = std::log1p(1 / nu) - 0.5 * std::log1p(2 / nu);
    EXPECT_NEAR(at_center(nu + 2) - at_center(nu), expected, kLgamma) << nu;
  }
}

TEST(StudentTTest, TheHessianIsNegativeForOutliers) {
  const auto z = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto y = torch::tensor({1.0, 6.0}, torch::kDouble);
  const auto h = hessian(-StudentT(z, 4, 2).log_prob(y).sum(), {z}).diagonal();
  const auto r2 = y.square();  // (ν+1)(νs² - r²)/(νs² + r²)²
  EXPECT_LT(relative_error(h, 5 * (16 - r2) / (16 + r2).square()), kRounding);
  EXPECT_LT(h[1].item<double>(), 0);
}

TEST(StudentTTest, SamplesHaveTheDistributionFunction) {
  constexpr int64_t kDraws = 40000;
  for (const int freedom : {1, 2, 4}) {
    const auto z = torch::full({kDraws}, 3.0, torch::kDouble);
    const auto x = (StudentT(z, freedom, 0.2).sample(seeded(4)) - 3.0) / 0.2;
    for (const double t : {-30.0, -3.0, -1.0, -0.2, 0.0, 0.4, 1.5, 5.0}) {
      const double p = distribution(t, freedom);
      const double deviation = x.le(t).to(torch::kDouble).mean().item<double>() - p;
      EXPECT_LE(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << freedom << ", " << t;
    }
  }
}

// With 0.05 degrees of freedom one draw in sixty is beyond 1e38.
TEST(StudentTTest, SamplesOfTheHeaviestTailsAreValidTargets) {
  const StudentT likelihood(torch::zeros({2000}, torch::kFloat), 0.05);
  const auto y = likelihood.sample(seeded(4));
  EXPECT_GT(y.abs().max().item<double>(), 1e37);
  EXPECT_NO_THROW(likelihood.check_targets(y));
}

TEST(StudentTTest, ParametersThatAreNotPositiveAndFiniteThrow) {
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    expect_error([bad] { StudentT likelihood(randn({2}, 1), bad); }, "degrees of freedom");
    expect_error([bad] { StudentT likelihood(randn({2}, 1), 1, bad); }, "scale");
    expect_error([bad] { Cauchy likelihood(randn({2}, 1), bad); }, "scale");
  }
}

TEST(StudentTTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = torch::zeros({2, 3}, torch::kDouble);
  y[1][2] = std::nan("");
  expect_error([&] { StudentT(randn({2, 3}, 1), 3).log_prob(y); }, "y[1, 2] = ");
}

TEST(StudentTTest, TextTellsParametersApart) {
  const auto z = randn({2}, 1);
  EXPECT_NE(StudentT(z, 3, 1).describe(), StudentT(z, std::nextafter(3.0, 4.0), 1).describe());
  EXPECT_NE(StudentT(z, 1, 2).describe(), StudentT(z, 2, 1).describe());
}

}  // namespace
}  // namespace natgrad::testing::student_t_test
