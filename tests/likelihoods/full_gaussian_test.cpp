#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/full_gaussian.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::full_gaussian_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor two_by_two() { return torch::tensor({{2.0, 1.0}, {1.0, 2.0}}, torch::kDouble); }

TEST(FullGaussianTest, ClosedFormOfTwoOutputs) {
  // Σ⁻¹ = [[2, -1], [-1, 2]]/3, det Σ = 3.
  const FullGaussian likelihood(torch::zeros({1, 2}, torch::kDouble), two_by_two());
  const auto e = torch::tensor({{1.0, 0.0}}, torch::kDouble);
  const double expected = -1.0 / 3 - std::log(2 * std::numbers::pi) - 0.5 * std::log(3.0);
  EXPECT_EQ(likelihood.log_prob(e).sizes(), torch::IntArrayRef({1}));
  EXPECT_NEAR(likelihood.log_prob(e).item<double>(), expected, kRounding);
  const auto column = torch::tensor({{2.0 / 3, -1.0 / 3}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(e), column), kRounding);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(e), column), kRounding);
}

TEST(FullGaussianTest, ADiagonalCovarianceIsADiagonalGaussian) {
  const auto z = randn({4, 3}, 1), y = randn({4, 3}, 2), v = randn({4, 3}, 3);
  const auto variance = randn({3}, 4).exp();
  const FullGaussian full(z, torch::diag(variance));
  const DiagonalGaussian diagonal(z, variance);
  EXPECT_LT(relative_error(full.log_prob(y), diagonal.log_prob(y).sum(1)), kRounding);
  EXPECT_LT(relative_error(full.score(y), diagonal.score(y)), kRounding);
  EXPECT_LT(relative_error(full.fisher_multiply(v), diagonal.fisher_multiply(v)), kRounding);
  EXPECT_LT(relative_error(full.factor_multiply(v), diagonal.factor_multiply(v)), kRounding);
}

TEST(FullGaussianTest, ACovarianceForEachExampleIsEachExampleAlone) {
  const auto z = randn({3, 2}, 1), y = randn({3, 2}, 2), v = randn({3, 2}, 3);
  const auto s = torch::stack({random_spd(2, 3, 5), random_spd(2, 30, 6), two_by_two()});
  const FullGaussian all(z, s);
  for (int64_t i = 0; i < 3; ++i) {
    const auto of = [i](const Tensor& t) { return t.slice(0, i, i + 1); };
    const FullGaussian one(of(z), s[i]);
    EXPECT_LT(relative_error(of(all.log_prob(y)), one.log_prob(of(y))), kRounding);
    EXPECT_LT(relative_error(of(all.score(y)), one.score(of(y))), kRounding);
    EXPECT_LT(relative_error(of(all.fisher_multiply(v)), one.fisher_multiply(of(v))), kRounding);
    EXPECT_LT(relative_error(of(all.factor_multiply(v)), one.factor_multiply(of(v))), kRounding);
  }
}

// Along an eigenvector of Σ the product divides by its eigenvalue, to the rounding of Σ's entries
// times its condition.
TEST(FullGaussianTest, EigenvectorsOfIllConditionedCovariances) {
  for (const double condition : {1e2, 1e5, 1e8}) {
    const auto eigenvalues = geometric_spectrum(5, condition);
    const auto q = random_orthogonal(5, 7);
    const FullGaussian likelihood(randn({5, 5}, 1), symmetric_with_spectrum(eigenvalues, 7));
    const auto product = likelihood.fisher_multiply(q.t());
    const auto expected = q.t() / eigenvalues.unsqueeze(1);
    EXPECT_LT(relative_error(product, expected), 1e-14 * condition) << condition;
    const double half_log_det = 0.5 * eigenvalues.log().sum().item<double>();
    const auto at_mode = likelihood.log_prob(likelihood.outputs());
    const double normaliser = half_log_det + 2.5 * std::log(2 * std::numbers::pi);
    EXPECT_LT((at_mode + normaliser).abs().max().item<double>(), 1e-14 * condition) << condition;
  }
}

TEST(FullGaussianTest, VeryLargeAndVerySmallCovariances) {
  for (const double scale : {1e-200, 1e200}) {
    const FullGaussian likelihood(torch::zeros({1, 2}, torch::kDouble), scale * two_by_two());
    const auto e = torch::tensor({{1.0, 0.0}}, torch::kDouble);
    const auto column = torch::tensor({{2.0 / 3, -1.0 / 3}}, torch::kDouble);
    EXPECT_LT(relative_error(scale * likelihood.fisher_multiply(e), column), kRounding);
    const double log_prob = likelihood.log_prob(0 * e).item<double>();
    const double expected = -std::log(2 * std::numbers::pi * scale) - 0.5 * std::log(3.0);
    EXPECT_NEAR(log_prob / expected, 1, kRounding);
  }
}

TEST(FullGaussianTest, SamplesHaveTheCovariance) {
  constexpr int64_t kDraws = 40000;
  for (const auto& s : {two_by_two(), two_by_two().expand({kDraws, 2, 2})}) {
    const auto z = torch::tensor({3.0, -5.0}, torch::kDouble).expand({kDraws, 2}).contiguous();
    const auto x = FullGaussian(z, s).sample(seeded(4)) - z;
    // Variances of the entries of x xᵀ: 8 on the diagonal, 5 beside it; five standard deviations.
    const double deviation = (x.t().mm(x) / kDraws - two_by_two()).abs().max().item<double>();
    EXPECT_LT(deviation, 5 * std::sqrt(8.0 / kDraws));
    EXPECT_LT(x.mean(0).abs().max().item<double>(), 5 * std::sqrt(2.0 / kDraws));
  }
}

TEST(FullGaussianTest, TextTellsCovariancesApart) {
  const auto z = randn({3, 2}, 1);
  auto other = two_by_two();
  other[1][1] = std::nextafter(2.0, 3.0);
  EXPECT_EQ(FullGaussian(z, two_by_two()).describe(), FullGaussian(-z, two_by_two()).describe());
  EXPECT_NE(FullGaussian(z, two_by_two()).describe(), FullGaussian(z, other).describe());
}

TEST(FullGaussianTest, TheCovarianceIsACopy) {
  const auto s = two_by_two();
  const FullGaussian likelihood(randn({3, 2}, 1), s);
  const auto text = likelihood.describe();
  s.fill_(0);
  EXPECT_EQ(likelihood.describe(), text);
}

TEST(FullGaussianTest, CovariancesThatAreNotSymmetricAreNamed) {
  auto s = two_by_two();
  s[0][1] = 1.001;
  expect_error([&] { FullGaussian(randn({3, 2}, 1), s); }, "covariance[0, 1] = 1.001");
  s[0][1] = std::nan("");
  expect_error([&] { FullGaussian(randn({3, 2}, 1), s); }, "covariance[0, 1] = ");
  // As a product of matrices may leave it.
  s[0][1] = 1 + 1e-15;
  EXPECT_NO_THROW(FullGaussian(randn({3, 2}, 1), s));
}

TEST(FullGaussianTest, CovariancesThatAreNotPositiveDefiniteAreNamed) {
  const auto z = randn({3, 2}, 1);
  const auto indefinite = torch::tensor({{1.0, 2.0}, {2.0, 1.0}}, torch::kDouble);
  expect_error([&] { FullGaussian(z, indefinite); }, "order 2");
  expect_error([&] { FullGaussian(z, -two_by_two()); }, "order 1");
  expect_error([&] { FullGaussian(z, 0 * two_by_two()); }, "positive definite");
  const auto third = torch::stack({two_by_two(), two_by_two(), indefinite});
  expect_error([&] { FullGaussian(z, third); }, "covariance[2]");
}

TEST(FullGaussianTest, ShapesThatDoNotFitThrow) {
  const auto z = randn({3, 2}, 1);
  expect_error([&] { FullGaussian(randn({2}, 1), two_by_two()); }, "[N, D]");
  expect_error([&] { FullGaussian(randn({3, 2, 1}, 1), two_by_two()); }, "[N, D]");
  expect_error([&] { FullGaussian(z, torch::eye(3, torch::kDouble)); }, "[D, D]");
  expect_error([&] { FullGaussian(z, two_by_two().expand({1, 2, 2})); }, "[N, D, D]");
  expect_error([&] { FullGaussian(z, Tensor()); }, "covariance");
  expect_error([&] { FullGaussian(z, two_by_two().requires_grad_()); }, "detach()");
}

TEST(FullGaussianTest, AlignPutsAnExamplesNumberOverItsOutputs) {
  const auto weights = torch::tensor({1.0, 2.0, 3.0}, torch::kDouble);
  const auto aligned = FullGaussian(randn({3, 2}, 1), two_by_two()).align(weights).expand({3, 2});
  EXPECT_EQ(aligned[1][0].item<double>(), 2);
  EXPECT_EQ(aligned[1][1].item<double>(), 2);
}

}  // namespace
}  // namespace natgrad::testing::full_gaussian_test
