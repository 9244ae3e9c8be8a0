#include <natgrad/variational/expectations.h>

#include "support/oracles.h"

namespace natgrad::testing::expectations_test {
namespace {

// Sums of a few numbers of order ten in double.
constexpr double kRounding = 1e-13;
// Standard errors: a false alarm would have odds of 1e-5, and the seeds are fixed.
constexpr double kConfidence = 4.5;
constexpr int64_t kSize = 4;

Tensor precision() { return random_spd(kSize, 20, 901); }
Tensor centre() { return randn({kSize}, 902); }
MeanFieldGaussian a_gaussian() { return {randn({kSize}, 903), randn({kSize}, 904).exp()}; }

Tensor quadratic(const Tensor& theta) {
  const auto error = theta - centre();
  return 0.7 - 0.5 * error.mm(precision()).mul(error).sum(1);
}

/// -Σ_j (θ_j⁴ + θ_j³), whose expectations are the Gaussian's moments.
Tensor quartic(const Tensor& theta) { return -(theta.pow(4) + theta.pow(3)).sum(1); }

void expect_quadratic(const Expectations& f, const MeanFieldGaussian& q) {
  const auto error = q.mean() - centre();
  const auto diagonal = precision().diagonal();
  const auto value = 0.7 - 0.5 * (error.dot(precision().mv(error)) + diagonal.dot(q.variance()));
  EXPECT_LT(relative_error(f.value, value), kRounding);
  EXPECT_LT(relative_error(f.gradient, -precision().mv(error)), kRounding);
  EXPECT_LT(relative_error(f.hessian_diagonal, -diagonal), kRounding);
}

TEST(ExpectationsTest, CubatureIsExactForQuadratics) {
  expect_quadratic(expectations_by_cubature(quadratic, a_gaussian()), a_gaussian());
}

TEST(ExpectationsTest, CubatureIsExactForTheValueOfCubics) {
  // E[θ³] = μ³ + 3μσ².
  const auto q = a_gaussian();
  const auto f = expectations_by_cubature([](const Tensor& t) { return t.pow(3).sum(1); }, q);
  const auto expected = (q.mean().pow(3) + 3 * q.mean() * q.variance()).sum();
  EXPECT_LT(relative_error(f.value, expected), kRounding);
}

TEST(ExpectationsTest, CubatureTakes2dPoints) {
  int64_t points = 0;
  expectations_by_cubature(
      [&](const Tensor& theta) {
        points += theta.size(0);
        return quadratic(theta);
      },
      a_gaussian());
  EXPECT_EQ(points, 2 * kSize);
}

TEST(ExpectationsTest, SamplesInPairsGiveTheGradientOfQuadraticsExactly) {
  const auto q = a_gaussian();
  const auto f = expectations_by_sampling(quadratic, q, 1, seeded(905));
  EXPECT_LT(relative_error(f.gradient, -precision().mv(q.mean() - centre())), kRounding);
}

TEST(ExpectationsTest, SamplesAreUnbiased) {
  const auto q = a_gaussian();
  std::vector<Tensor> rows;
  for (int i = 0; i < 1500; ++i) {
    const auto f = expectations_by_sampling(quartic, q, 2, seeded(1000 + i));
    rows.push_back(torch::cat({f.value.view(1), f.gradient, f.hessian_diagonal}));
  }
  const auto m = q.mean(), s = q.variance();
  const auto value = -(m.pow(4) + 6 * m.square() * s + 3 * s.square() + m.pow(3) + 3 * m * s).sum();
  const auto gradient = -(4 * (m.pow(3) + 3 * m * s) + 3 * (m.square() + s));
  const auto hessian_diagonal = -(12 * (m.square() + s) + 6 * m);
  const auto expected = torch::cat({value.view(1), gradient, hessian_diagonal});
  const auto sample = torch::stack(rows);
  const auto error = sample.std(0) / std::sqrt(double(sample.size(0)));
  EXPECT_LT(((sample.mean(0) - expected).abs() / error).max().item<double>(), kConfidence);
  EXPECT_LT((error / expected.abs()).max().item<double>(), 0.2);  // what they can tell apart
}

TEST(ExpectationsTest, LeavesTheUsersGradientsAlone) {
  const auto offset = torch::ones({kSize}, torch::kDouble).requires_grad_(true);
  const torch::NoGradGuard no_grad;
  expectations_by_cubature([&](const Tensor& theta) { return quadratic(theta + offset); },
                           a_gaussian());
  EXPECT_FALSE(offset.grad().defined());
}

TEST(ExpectationsTest, MalformedLogJointsThrow) {
  const auto q = a_gaussian();
  const auto with = [&](const LogJoint& f) { return [&q, f] { expectations_by_cubature(f, q); }; };
  expect_error(with([](const Tensor& t) { return quadratic(t).sum(); }), "one number a row");
  expect_error(with([](const Tensor& t) { return quadratic(t).unsqueeze(1); }), "[8, 1]");
  expect_error(with([](const Tensor&) { return Tensor(); }), "undefined");
  expect_error(with([](const Tensor& t) { return quadratic(t).detach(); }), "no graph");
  const auto other = torch::ones({2 * kSize}, torch::kDouble).requires_grad_(true);
  expect_error(with([&](const Tensor&) { return other * 1; }), "does not depend");
  {
    const c10::InferenceMode inference;
    expect_error(with(quadratic), "InferenceMode");
  }
  expect_error([&] { expectations_by_sampling(quadratic, q, 0, seeded(1)); }, "pair");
}

}  // namespace
}  // namespace natgrad::testing::expectations_test
