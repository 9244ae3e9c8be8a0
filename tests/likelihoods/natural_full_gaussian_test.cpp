#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/natural_full_gaussian.h>
#include <natgrad/likelihoods/natural_gaussian.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::natural_full_gaussian_test {
namespace {

// A few roundings of relative size 1e-16 times the conditions, up to a hundred.
constexpr double kRounding = 1e-12;

/// Σ⁻¹ = [[2, 1], [1, 3]] and μ = (1, -1): z = (Σ⁻¹μ, Σ⁻¹₁₁, Σ⁻¹₂₁, Σ⁻¹₂₂).
Tensor two_outputs() { return torch::tensor({{1.0, -2.0, 2.0, 1.0, 3.0}}, torch::kDouble); }

/// Means and precisions of N examples of D outputs, and their z.
struct Example {
  Tensor mean, precision, z;
};

Example some(int64_t n, int64_t d, double condition) {
  std::vector<Tensor> precisions;
  for (int64_t i = 0; i < n; ++i) precisions.push_back(random_spd(d, condition, 60 + i));
  const auto mean = randn({n, d}, 5), precision = torch::stack(precisions);
  return {mean, precision, NaturalFullGaussian::natural_parameters(mean, precision)};
}

// d = y - μ = (1, 2): dᵀΣ⁻¹d = 18, det Σ⁻¹ = 5, Σ = [[3, -1], [-1, 2]]/5.
TEST(NaturalFullGaussianTest, ClosedFormOfTwoOutputs) {
  const NaturalFullGaussian likelihood(two_outputs());
  const auto y = torch::tensor({{2.0, 1.0}}, torch::kDouble);
  const double log_prob = -9 + 0.5 * std::log(5.0) - std::log(2 * std::numbers::pi);
  EXPECT_EQ(likelihood.log_prob(y).sizes(), torch::IntArrayRef({1}));
  EXPECT_NEAR(likelihood.log_prob(y).item<double>(), log_prob, kRounding);
  // yyᵀ - μμᵀ - Σ = [[4, 2], [2, 1]] - [[1, -1], [-1, 1]] - Σ.
  const auto score = torch::tensor({{1.0, 2.0, -0.5 * 2.4, -3.2, 0.5 * 0.4}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(y), score), kRounding);
}

// T is -yᵢyⱼ below the diagonal, and half of that on it: then zᵀT is yᵀΣ⁻¹μ - ½ yᵀΣ⁻¹y.
TEST(NaturalFullGaussianTest, DifferencesOfLogProbAreLinearInTheStatistics) {
  const auto z = two_outputs();
  const auto statistics = [](double a, double b) {
    return torch::tensor({{a, b, -0.5 * a * a, -a * b, -0.5 * b * b}}, torch::kDouble);
  };
  const NaturalFullGaussian likelihood(z);
  const auto at = [&](double a, double b) {
    return likelihood.log_prob(torch::tensor({{a, b}}, torch::kDouble)).item<double>();
  };
  const double expected = (z * (statistics(0.3, -2) - statistics(1.7, 0.4))).sum().item<double>();
  EXPECT_NEAR(at(0.3, -2) - at(1.7, 0.4), expected, kRounding);
}

TEST(NaturalFullGaussianTest, IsAGaussianWithItsMeanAndCovariance) {
  const auto [mean, precision, z] = some(4, 3, 10);
  const auto y = randn({4, 3}, 6);
  const auto inverse = precision.inverse();
  const FullGaussian gaussian(mean, 0.5 * (inverse + inverse.mT()));
  EXPECT_LT(relative_error(NaturalFullGaussian(z).log_prob(y), gaussian.log_prob(y)), kRounding);
  const auto first = NaturalFullGaussian(z).score(y).narrow(1, 0, 3);
  EXPECT_LT(relative_error(first, y - mean), kRounding);
}

// One output: b = -½ Σ⁻¹.
TEST(NaturalFullGaussianTest, OneOutputIsANaturalGaussian) {
  const auto a = randn({4, 1}, 1), precision = randn({4, 1}, 2).exp(), y = randn({4, 1}, 3);
  const auto scale = torch::tensor({1.0, -0.5}, torch::kDouble), v = randn({4, 2}, 4);
  const NaturalFullGaussian full(torch::cat({a, precision}, 1));
  const NaturalGaussian diagonal(torch::cat({a, -0.5 * precision}, 1));
  EXPECT_LT(relative_error(full.log_prob(y), diagonal.log_prob(y).squeeze(1)), kRounding);
  EXPECT_LT(relative_error(full.score(y), scale * diagonal.score(y)), kRounding);
  EXPECT_LT(relative_error(full.fisher_multiply(v), scale * diagonal.fisher_multiply(scale * v)),
            kRounding);
}

// ∇²log Z of log Z = ½ aᵀΣa - ½ log det Σ⁻¹, by autograd on that formula.
TEST(NaturalFullGaussianTest, FisherIsTheHessianOfTheLogPartition) {
  for (const int64_t d : {1, 2, 4}) {
    const auto z = some(1, d, 20).z.requires_grad_();
    const auto a = z[0].narrow(0, 0, d);
    std::vector<Tensor> entries(d * d);
    for (int64_t i = 0, k = d; i < d; ++i) {
      for (int64_t j = 0; j <= i; ++j, ++k) entries[i * d + j] = entries[j * d + i] = z[0][k];
    }
    const auto precision = torch::stack(entries).view({d, d});
    const auto log_z = 0.5 * a.dot(torch::linalg_inv(precision).mv(a)) - 0.5 * precision.logdet();
    const auto expected = hessian(log_z, {z});
    const NaturalFullGaussian likelihood(z.detach());
    const auto of = [&](auto part) {
      return matrix_of([&](const Tensor& v) { return (likelihood.*part)(v.unsqueeze(0)); },
                       z.size(1));
    };
    const auto b = of(&NaturalFullGaussian::factor_multiply);
    EXPECT_LT(relative_error(of(&NaturalFullGaussian::fisher_multiply), expected), kRounding) << d;
    EXPECT_LT(relative_error(b.mm(b.t()), expected), kRounding) << d;
    // vech, unlike vec, leaves no direction out.
    EXPECT_GT(torch::linalg_eigvalsh(expected)[0].item<double>(), 1e-3) << d;
  }
}

// zᵀT - log Z has terms of 1e6 here, which cancel.
TEST(NaturalFullGaussianTest, LogProbKeepsItsDigitsFarFromZero) {
  const auto mean = torch::tensor({{1000.0, -1000.0}}, torch::kDouble);
  const auto precision = torch::tensor({{{2.0, 1.0}, {1.0, 3.0}}}, torch::kDouble);
  const NaturalFullGaussian likelihood(NaturalFullGaussian::natural_parameters(mean, precision));
  const auto y = mean + torch::tensor({{1.0, 2.0}}, torch::kDouble);
  const double log_prob = -9 + 0.5 * std::log(5.0) - std::log(2 * std::numbers::pi);
  EXPECT_NEAR(likelihood.log_prob(y).item<double>(), log_prob, 10 * kRounding);
}

TEST(NaturalFullGaussianTest, SamplesHaveTheMeanAndCovariance) {
  constexpr int64_t kDraws = 40000;
  const auto z = two_outputs().expand({kDraws, 5});
  const auto mean = torch::tensor({1.0, -1.0}, torch::kDouble);
  const auto covariance = torch::tensor({{0.6, -0.2}, {-0.2, 0.4}}, torch::kDouble);
  const auto x = NaturalFullGaussian(z).sample(seeded(4)) - mean;
  // Variances of x at most 0.6, of the entries of x xᵀ at most 0.72; five standard deviations.
  EXPECT_LT(x.mean(0).abs().max().item<double>(), 5 * std::sqrt(0.6 / kDraws));
  const auto deviation = (x.t().mm(x) / kDraws - covariance).abs().max();
  EXPECT_LT(deviation.item<double>(), 5 * std::sqrt(0.72 / kDraws));
}

TEST(NaturalFullGaussianTest, PrecisionsThatAreNotPositiveDefiniteAreNamed) {
  const auto z = two_outputs().repeat({4, 1});
  z[2][3] = 3;  // [[2, 3], [3, 3]]
  z[3][2] = -1;
  expect_error([&] { NaturalFullGaussian likelihood(z); }, "example 2");
  expect_error([&] { NaturalFullGaussian likelihood(z); }, "order 2");
  expect_error([&] { NaturalFullGaussian likelihood(z.slice(0, 3)); }, "order 1");
}

TEST(NaturalFullGaussianTest, OutputsThatAreNotANumberPass) {
  const auto z = two_outputs().repeat({2, 1});
  z[1][3] = std::nan("");
  const NaturalFullGaussian likelihood(z);
  const auto log_prob = likelihood.log_prob(torch::zeros({2, 2}, torch::kDouble));
  EXPECT_TRUE(all_finite(log_prob[0]));
  EXPECT_FALSE(all_finite(log_prob[1]));
  EXPECT_TRUE(all_finite(likelihood.fisher_multiply(torch::ones_like(z))[0]));
  EXPECT_FALSE(all_finite(likelihood.fisher_multiply(torch::ones_like(z))[1]));
}

TEST(NaturalFullGaussianTest, ShapesThatDoNotFitThrow) {
  for (const auto& shape : std::vector<std::vector<int64_t>>{{}, {5}, {2, 3}, {2, 6}, {2, 5, 1}}) {
    expect_error([&] { NaturalFullGaussian(torch::ones(shape, torch::kDouble)); },
                 "[N, D + D(D+1)/2]");
  }
  const NaturalFullGaussian likelihood(two_outputs());
  expect_error([&] { likelihood.log_prob(randn({1, 5}, 1)); }, "targets of shape [1, 2]");
  expect_error(
      [&] {
        likelihood.log_prob(torch::full({1, 2}, HUGE_VAL, torch::kDouble));
      },
      "y[0, 0] = inf");
  expect_error(
      [] {
        NaturalFullGaussian::natural_parameters(randn({2, 3}, 1), randn({3, 3}, 1));
      },
      "[N, D, D]");
}

TEST(NaturalFullGaussianTest, ProductsFollowOutputsChangedInPlace) {
  const auto z = two_outputs();
  const NaturalFullGaussian likelihood(z);
  likelihood.fisher_multiply(torch::ones_like(z));
  z.mul_(2);
  const auto expected = NaturalFullGaussian(z.clone()).fisher_multiply(torch::ones_like(z));
  EXPECT_TRUE(identical(likelihood.fisher_multiply(torch::ones_like(z)), expected));
}

}  // namespace
}  // namespace natgrad::testing::natural_full_gaussian_test
