#include <natgrad/likelihoods/diagonal_gaussian.h>
#include <natgrad/likelihoods/gaussian.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::diagonal_gaussian_test {
namespace {

// A few roundings of relative size 1e-16.
constexpr double kRounding = 1e-14;

Tensor numbers(std::vector<double> values) { return torch::tensor(values, torch::kDouble); }

TEST(DiagonalGaussianTest, ClosedFormOfTwoOutputs) {
  const DiagonalGaussian likelihood(numbers({{0, 0}}).view({1, 2}), numbers({1, 4}));
  const auto y = numbers({2, 2}).view({1, 2}), v = numbers({3, 3}).view({1, 2});
  const double half_log_2_pi = 0.5 * std::log(2 * std::numbers::pi);
  const auto log_prob = numbers({-2 - half_log_2_pi, -0.5 - std::log(2.0) - half_log_2_pi});
  EXPECT_LT(relative_error(likelihood.log_prob(y), log_prob.view({1, 2})), kRounding);
  EXPECT_TRUE(identical(likelihood.score(y), numbers({2, 0.5}).view({1, 2})));
  EXPECT_TRUE(identical(likelihood.fisher_multiply(v), numbers({3, 0.75}).view({1, 2})));
  EXPECT_TRUE(identical(likelihood.factor_multiply(v), numbers({3, 1.5}).view({1, 2})));
}

// Whatever shape the variance broadcasts from, each element is a Gaussian of its own.
TEST(DiagonalGaussianTest, EachElementIsAGaussianWithItsVariance) {
  const auto z = randn({3, 2}, 1), y = randn({3, 2}, 2), v = randn({3, 2}, 3);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {2}, {3, 1}, {1, 2}, {3, 2}}) {
    const auto variance = randn(shape, 4).exp();
    const auto all = variance.expand({3, 2});
    const DiagonalGaussian likelihood(z, variance);
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 2; ++j) {
        const Gaussian one(z[i][j], all[i][j].item<double>());
        const auto error = [&](const Tensor& actual, const Tensor& expected) {
          return relative_error(actual[i][j], expected);
        };
        EXPECT_LT(error(likelihood.log_prob(y), one.log_prob(y[i][j])), kRounding);
        EXPECT_LT(error(likelihood.score(y), one.score(y[i][j])), kRounding);
        EXPECT_LT(error(likelihood.fisher_multiply(v), one.fisher_multiply(v[i][j])), kRounding);
        EXPECT_LT(error(likelihood.factor_multiply(v), one.factor_multiply(v[i][j])), kRounding);
      }
    }
  }
}

TEST(DiagonalGaussianTest, ExtremeVariancesAreFollowedExactly) {
  const DiagonalGaussian likelihood(numbers({1e4, 0}), numbers({1e-8, 1e300}));
  const auto y = numbers({-1e4, 1e150}), one = numbers({1, 1});
  EXPECT_LT(relative_error(likelihood.score(y) / numbers({-2e12, 1e-150}), one), kRounding);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(one) / numbers({1e8, 1e-300}), one),
            kRounding);
  EXPECT_LT(relative_error(likelihood.factor_multiply(one) / numbers({1e4, 1e-150}), one),
            kRounding);
}

TEST(DiagonalGaussianTest, SamplesHaveTheirOwnVariances) {
  constexpr int64_t kDraws = 40000;
  const auto variance = numbers({0.01, 4});
  const auto z = numbers({3, -5}).expand({kDraws, 2}).contiguous();
  const auto x = (DiagonalGaussian(z, variance).sample(seeded(4)) - z) / variance.sqrt();
  // E x = 0, E x² = 1 with variances 1 and 2; five standard deviations.
  EXPECT_LT(x.mean(0).abs().max().item<double>(), 5 * std::sqrt(1.0 / kDraws));
  EXPECT_LT((x.square().mean(0) - 1).abs().max().item<double>(), 5 * std::sqrt(2.0 / kDraws));
}

TEST(DiagonalGaussianTest, TheVarianceIsACopy) {
  const auto variance = numbers({1, 4});
  const DiagonalGaussian likelihood(randn({3, 2}, 1), variance);
  const auto before = likelihood.fisher_multiply(randn({3, 2}, 2));
  const auto text = likelihood.describe();
  variance.fill_(9);
  EXPECT_TRUE(identical(likelihood.fisher_multiply(randn({3, 2}, 2)), before));
  EXPECT_EQ(likelihood.describe(), text);
}

TEST(DiagonalGaussianTest, TextTellsVariancesApart) {
  const auto z = randn({2, 2}, 1);
  const auto text = [&](const Tensor& variance) {
    return DiagonalGaussian(z, variance).describe();
  };
  EXPECT_EQ(text(numbers({1, 4})), text(numbers({1, 4})));
  EXPECT_EQ(text(numbers({1, 4})), DiagonalGaussian(-z, numbers({1, 4})).describe());
  EXPECT_NE(text(numbers({1, 4})), text(numbers({4, 1})));
  EXPECT_NE(text(numbers({1, 4})), text(numbers({1, std::nextafter(4.0, 5.0)})));
  EXPECT_NE(text(numbers({1, 4})), text(numbers({1, 4}).view({2, 1})));
}

TEST(DiagonalGaussianTest, VariancesThatAreNotPositiveAndFiniteAreNamed) {
  for (const double bad : {0.0, -0.0, -1.0, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const auto variance = torch::ones({3, 2}, torch::kDouble);
    variance[2][1] = bad;
    expect_error([&] { DiagonalGaussian(randn({3, 2}, 1), variance); }, "variance[2, 1] = ");
  }
  const auto vanishing = numbers({1e-60, 1});  // zero in the mean's float32
  expect_error([&] { DiagonalGaussian(torch::zeros({3, 2}), vanishing); }, "variance[0] = 0");
}

TEST(DiagonalGaussianTest, VariancesThatDoNotFitTheMeanThrow) {
  const auto z = randn({3, 2}, 1);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{3}, {2, 3}, {1, 3, 2}, {0}}) {
    expect_error([&] { DiagonalGaussian(z, torch::ones(shape, torch::kDouble)); }, "shape");
  }
  const auto two = torch::ones({2}, torch::kDouble);
  expect_error([&] { DiagonalGaussian(z, Tensor()); }, "variance");
  expect_error([&] { DiagonalGaussian(z, two.to(torch::kLong)); }, "floating");
  expect_error([&] { DiagonalGaussian(z, two.to(torch::kMeta)); }, "meta");
  expect_error([&] { DiagonalGaussian(z, two.clone().requires_grad_()); }, "detach()");
}

TEST(DiagonalGaussianTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  const auto y = torch::zeros({2, 3}, torch::kDouble);
  y[0][2] = std::nan("");
  const DiagonalGaussian likelihood(randn({2, 3}, 1), torch::ones({3}, torch::kDouble));
  expect_error([&] { likelihood.log_prob(y); }, "y[0, 2] = ");
}

}  // namespace
}  // namespace natgrad::testing::diagonal_gaussian_test
