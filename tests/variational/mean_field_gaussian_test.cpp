#include <natgrad/variational/mean_field_gaussian.h>

#include <numbers>

#include "support/dense_oracles.h"
#include "support/quadrature.h"

namespace natgrad::testing::mean_field_gaussian_test {
namespace {

// Sums of some tens of numbers of order one in double.
constexpr double kRounding = 1e-12;

Tensor mean() { return torch::tensor({0.4, -1.3}, torch::kDouble); }
Tensor sigma() { return torch::tensor({0.7, 1.9}, torch::kDouble); }
MeanFieldGaussian a_gaussian() { return {mean(), sigma()}; }

/// A parameterisation: its parameters here, as (μ, σ), and the Fisher matrix in it.
struct ParameterisationCase {
  std::string name;
  Tensor parameters;  // [2d]
  std::function<std::pair<Tensor, Tensor>(const Tensor&)> mean_and_sigma;
  LinearOperator fisher;
};

std::ostream& operator<<(std::ostream& out, const ParameterisationCase& c) { return out << c.name; }

std::vector<ParameterisationCase> parameterisations() {
  const auto q = a_gaussian();
  const auto variance = sigma().square();
  return {
      {"MeanLogStd", torch::cat({mean(), sigma().log()}),
       [](const Tensor& p) { return std::pair(p.narrow(0, 0, 2), p.narrow(0, 2, 2).exp()); },
       q.fisher_mean_log_std()},
      {"MeanVariance", torch::cat({mean(), variance}),
       [](const Tensor& p) { return std::pair(p.narrow(0, 0, 2), p.narrow(0, 2, 2).sqrt()); },
       q.fisher_mean_variance()},
      {"Natural", torch::cat({mean() / variance, -0.5 / variance}),
       [](const Tensor& p) {
         const auto variance = -0.5 / p.narrow(0, 2, 2);
         return std::pair(p.narrow(0, 0, 2) * variance, variance.sqrt());
       },
       q.fisher_natural()},
  };
}

struct Parameterisations : ::testing::TestWithParam<ParameterisationCase> {};

TEST_P(Parameterisations, FisherIsTheExpectedOuterProductOfScores) {
  const auto rule = gauss_hermite(8);  // scores are quadratic, so that degree 4 is all there is
  auto expected = torch::zeros({4, 4}, torch::kDouble);
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j) {
      const auto nodes = torch::tensor({rule.nodes[i], rule.nodes[j]}, torch::kDouble);
      const auto y = mean() + std::numbers::sqrt2 * sigma() * nodes;
      const auto p = GetParam().parameters.clone().requires_grad_(true);
      const auto [mu, s] = GetParam().mean_and_sigma(p);
      const auto score = gradient_of(((y - mu) / s).square().sum() / -2 - s.log().sum(), {p});
      expected += rule.weights[i] * rule.weights[j] / std::numbers::pi * score.outer(score);
    }
  }
  EXPECT_LT(relative_error(dense(GetParam().fisher), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(All, Parameterisations, ::testing::ValuesIn(parameterisations()),
                         [](const auto& info) { return info.param.name; });

TEST(MeanFieldGaussianTest, FisherInNaturalParametersIsTheMeanParametersDerivative) {
  const auto lambda =
      torch::cat({a_gaussian().lambda_1(), a_gaussian().lambda_2()}).requires_grad_(true);
  const auto variance = -0.5 / lambda.narrow(0, 2, 2);
  const auto mu = lambda.narrow(0, 0, 2) * variance;
  const auto m = torch::cat({mu, mu.square() + variance});
  EXPECT_LT(relative_error(dense(a_gaussian().fisher_natural()), jacobian(m, {lambda})), kRounding);
}

TEST(MeanFieldGaussianTest, NaturalParametersGoThereAndBack) {
  const auto q = a_gaussian();
  const auto again = MeanFieldGaussian::from_natural(q.lambda_1(), q.lambda_2());
  EXPECT_LT(relative_error(again.mean(), mean()), kRounding);
  EXPECT_LT(relative_error(again.standard_deviation(), sigma()), kRounding);
}

TEST(MeanFieldGaussianTest, LogProbIntegratesToOneAndItsMeanToMinusTheEntropy) {
  const auto rule = gauss_legendre(200);
  const auto nodes = 10 * torch::tensor(rule.nodes, torch::kDouble);
  const auto grid = torch::cartesian_prod({nodes, nodes}) * sigma() + mean();
  const auto weights = torch::tensor(rule.weights, torch::kDouble);
  const auto measure = 100 * sigma().prod() * torch::cartesian_prod({weights, weights}).prod(1);
  const auto log_q = a_gaussian().log_prob(grid);
  EXPECT_NEAR(measure.dot(log_q.exp()).item<double>(), 1, kRounding);
  EXPECT_LT(relative_error(a_gaussian().entropy(), -measure.dot(log_q.exp() * log_q)), kRounding);
}

TEST(MeanFieldGaussianTest, KeepsCopies) {
  const auto mu = mean();
  const MeanFieldGaussian q(mu, sigma());
  mu.zero_();
  EXPECT_TRUE(identical(q.mean(), mean()));
}

TEST(MeanFieldGaussianTest, MalformedParametersThrow) {
  const auto with = [](std::vector<double> values) {
    return torch::tensor(values, torch::kDouble);
  };
  expect_error([&] { MeanFieldGaussian(mean(), with({1, 0})); }, "standard_deviation[1] = 0");
  expect_error([&] { MeanFieldGaussian(mean(), with({-1, 1})); }, "standard_deviation[0]");
  expect_error([&] { MeanFieldGaussian(with({0, std::nan("")}), sigma()); }, "mean[1]");
  expect_error([&] { MeanFieldGaussian(mean(), with({1})); }, "alike");
  expect_error([&] { MeanFieldGaussian(mean(), torch::ones({2})); }, "alike");
  expect_error([&] { MeanFieldGaussian(mean(), Tensor()); }, "undefined");
  expect_error([&] { MeanFieldGaussian(torch::ones({2, 2}), torch::ones({2, 2})); }, "[d]");
  expect_error([&] { MeanFieldGaussian(torch::ones({0}), torch::ones({0})); }, "d >= 1");
  expect_error(
      [&] {
        MeanFieldGaussian::from_natural(mean(), with({-1, 0.5}));
      },
      "lambda_2[1] = 0.5");
  expect_error([&] { a_gaussian().log_prob(randn({5, 3}, 1)); }, "[S, 2]");
}

}  // namespace
}  // namespace natgrad::testing::mean_field_gaussian_test
