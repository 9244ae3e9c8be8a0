#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/huber.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/location.h>
#include <natgrad/likelihoods/logistic.h>
#include <natgrad/likelihoods/student_t.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/user_losses.h"

namespace natgrad::testing::location_test {
namespace {

constexpr double kPi = std::numbers::pi;
// Quadrature that stops when one more halving of the step changes less than 1e-11.
constexpr double kExact = 1e-12;

NoiseDensity generalised_normal(double beta, double alpha) {
  return NoiseDensity([=](const Tensor& x) { return -(x.abs() / alpha).pow(beta); });
}

NoiseDensity laplace(double scale) {
  return NoiseDensity([=](const Tensor& x) { return -x.abs() / scale; });
}

Tensor logistic(const Tensor& x) { return -x.abs() - 2 * torch::log1p(torch::exp(-x.abs())); }

/// One density with its ∫ e^ℓ dx and κ.
struct ClosedForm {
  std::string name;
  NoiseDensity noise;
  double normaliser, fisher;
};

ClosedForm generalised(double beta, double alpha) {
  return {"GeneralisedNormal", generalised_normal(beta, alpha),
          2 * alpha * std::tgamma(1 + 1 / beta),
          beta * beta * std::tgamma(2 - 1 / beta) / (alpha * alpha * std::tgamma(1 / beta))};
}

ClosedForm huber(double delta) {
  const double core = std::sqrt(2 * kPi) * std::erf(delta / std::numbers::sqrt2);
  const double z = core + 2 / delta * std::exp(-0.5 * delta * delta);
  return {"Huber", NoiseDensity(minus_huber(delta), {-delta, 0, delta}), z, core / z};
}

ClosedForm student(double freedom, double scale) {
  const auto log_density = [=](const Tensor& x) {
    return -0.5 * (freedom + 1) * torch::log1p((x / scale).square() / freedom);
  };
  const double z = scale * std::sqrt(freedom * kPi) * std::tgamma(0.5 * freedom) /
                   std::tgamma(0.5 * (freedom + 1));
  return {"StudentT", NoiseDensity(log_density), z,
          (freedom + 1) / (freedom + 3) / (scale * scale)};
}

std::vector<ClosedForm> closed_forms() {
  return {{"Gaussian", NoiseDensity(half_square), std::sqrt(2 * kPi), 1},
          {"Laplace", laplace(1), 2, 1},
          {"NarrowLaplace", laplace(1e-4), 2e-4, 1e8},
          {"WideLaplace", laplace(1e4), 2e4, 1e-8},
          {"Logistic", NoiseDensity(logistic), 1, 1.0 / 3},
          {"Cauchy", NoiseDensity(minus_log_cauchy), kPi, 0.5},
          {"Sech", NoiseDensity(minus_log_cosh), kPi / 2, 0.5},  // of -log(2 cosh x)
          huber(0.7),
          huber(3),
          student(3, 1),
          student(4.5, 0.3),
          generalised(0.8, 1),
          generalised(1.5, 1),
          generalised(2, std::numbers::sqrt2),
          generalised(4, 0.5)};
}

TEST(NoiseDensityTest, IntegralsHaveTheirClosedForms) {
  for (const auto& c : closed_forms()) {
    EXPECT_NEAR(std::exp(c.noise.log_normaliser()) / c.normaliser, 1, kExact) << c.name;
    EXPECT_NEAR(c.noise.fisher() / c.fisher, 1, kExact) << c.name;
  }
}

// At β = ½ the information diverges; just above, what is left out near 0 goes like x^(2β - 1).
TEST(NoiseDensityTest, GeneralisedNormalsHaveInformationOnlyAboveBetaOneHalf) {
  const auto c = generalised(0.55, 1);
  EXPECT_NEAR(c.noise.fisher() / c.fisher, 1, 1e-9);
  expect_error([] { generalised_normal(0.5, 1); }, "Fisher information");
  expect_error([] { generalised_normal(0.3, 1); }, "Fisher information");
}

TEST(NoiseDensityTest, KinksThatAreNotListedCostDigits) {
  for (const double delta : {0.7, 3.0}) {
    const NoiseDensity unlisted(minus_huber(delta));
    EXPECT_NEAR(unlisted.fisher() / huber(delta).fisher, 1, 1e-5);
  }
}

TEST(NoiseDensityTest, QuantilesInvertTheDistributionFunction) {
  constexpr double kLinear = 2e-5;  // the density is linear between the nodes
  const auto u = torch::linspace(0.001, 0.999, 499, torch::kDouble);
  const auto expect = [&](const NoiseDensity& noise, const Tensor& distribution) {
    EXPECT_LT((distribution - u).abs().max().item<double>(), kLinear) << noise.describe();
  };
  const NoiseDensity sech(minus_log_cosh), cauchy(minus_log_cauchy), gaussian(half_square);
  expect(sech, 2 / kPi * torch::atan(torch::exp(sech.quantile(u))));
  expect(cauchy, 0.5 + torch::atan(cauchy.quantile(u)) / kPi);
  expect(gaussian, torch::special::ndtr(gaussian.quantile(u)));
}

TEST(NoiseDensityTest, OnlyAGaussianHasAConstantHessian) {
  EXPECT_TRUE(NoiseDensity(half_square).is_gaussian());
  EXPECT_TRUE(generalised_normal(2, 0.1).is_gaussian());
  for (const double beta : {1.9, 2.1, 4.0}) EXPECT_FALSE(generalised_normal(beta, 1).is_gaussian());
  EXPECT_FALSE(huber(3).noise.is_gaussian());
  EXPECT_FALSE(student(1e4, 1).noise.is_gaussian());
}

TEST(NoiseDensityTest, TextTellsFunctionsApart) {
  EXPECT_EQ(laplace(2).describe(), laplace(2).describe());
  EXPECT_NE(laplace(2).describe(), laplace(2 + 1e-12).describe());
}

TEST(NoiseDensityTest, DensitiesWithoutAnIntegralThrowWithTheFigures) {
  expect_error([] { NoiseDensity([](const Tensor& x) { return -torch::log1p(x.abs()); }); },
               "no finite integral Z over y at z = 0");
  expect_error([] { NoiseDensity([](const Tensor& x) { return torch::zeros_like(x); }); },
               "faster than 1/|y|");
  expect_error([] { NoiseDensity([](const Tensor& x) { return x.square(); }); }, "log Z came out");
}

TEST(NoiseDensityTest, DensitiesThatAreNotPositiveOrContinuousThrow) {
  const auto box = [](const Tensor& x) { return torch::where(x.abs() < 1, 0 * x, -HUGE_VAL); };
  expect_error([&] { NoiseDensity noise(box, {-1, 0, 1}); }, "is not positive at y = ");
  expect_error([&] { NoiseDensity noise(box); }, "is not positive at y = ");
  const auto triangle = [](const Tensor& x) {
    return torch::where(x.abs() < 1, torch::log1p(-x.abs()), -HUGE_VAL);
  };
  expect_error([&] { NoiseDensity noise(triangle, {-1, 0, 1}); }, "no finite Fisher information");
  const auto one_sided = [](const Tensor& x) { return torch::where(x > 0, -x, x - 1); };
  expect_error([&] { NoiseDensity noise(one_sided); }, "the density jumps");
  expect_error([] { NoiseDensity([](const Tensor& x) { return x.sqrt(); }); }, "is not a number");
}

TEST(NoiseDensityTest, FunctionsThatCannotBeUsedThrow) {
  const auto scale = torch::ones({}, torch::kDouble).requires_grad_();
  expect_error([&] { NoiseDensity([&](const Tensor& x) { return -(x / scale).square(); }); },
               "require a gradient");
  expect_error([] { NoiseDensity([](const Tensor& x) { return -x.square().sum(); }); },
               "for each element");
  expect_error([] { NoiseDensity noise(nullptr); }, "needs a function");
  expect_error([] { NoiseDensity noise(half_square, {}); }, "kinks");
  expect_error([] { NoiseDensity noise(half_square, {0, HUGE_VAL}); }, "kinks");
}

TEST(LocationTest, IsEveryClosedFormOfItsDensity) {
  const auto z = randn({4, 2}, 1), y = 3 * randn({4, 2}, 2), v = randn({4, 2}, 3);
  const auto same = [&](const Likelihood& expected, const NoiseDensity& noise) {
    const Location location(z, noise);
    const auto& name = expected.describe();
    EXPECT_LT(relative_error(location.log_prob(y), expected.log_prob(y)), kExact) << name;
    EXPECT_LT(relative_error(location.score(y), expected.score(y)), kExact) << name;
    EXPECT_LT(relative_error(location.fisher_multiply(v), expected.fisher_multiply(v)), kExact)
        << name;
    EXPECT_LT(relative_error(location.factor_multiply(v), expected.factor_multiply(v)), kExact)
        << name;
  };
  same(Gaussian(z), NoiseDensity(half_square));
  same(Laplace(z, 0.3), laplace(0.3));
  same(Huber(z, 0.7), huber(0.7).noise);
  same(StudentT(z, 4.5, 0.3), student(4.5, 0.3).noise);
  same(Cauchy(z), NoiseDensity(minus_log_cauchy));
  same(Logistic(z), NoiseDensity(logistic));
}

// Park, Amari & Fukumizu (2000): the Fisher matrix is κ JᵀJ.
TEST(LocationTest, FisherIsKappaTimesTheClassicalGaussNewtonMatrix) {
  const auto w = randn({3, 2}, 1).requires_grad_(), b = randn({2}, 2).requires_grad_();
  const auto z = torch::tanh(randn({5, 3}, 3).matmul(w) + b);
  const auto c = generalised(1.5, 0.5);
  const auto loss =
      nll(std::make_shared<Location>(z, c.noise), randn({5, 2}, 4), at::Reduction::Sum);
  const auto j = jacobian(z, {w, b});
  const auto f = dense(fisher(LossGraph(loss, {w, b})));
  EXPECT_LT(relative_error(f, c.fisher * j.t().mm(j)), kExact);
}

TEST(LocationTest, ScoresComeWithoutAGraphAndInInferenceMode) {
  const NoiseDensity noise(half_square);
  const auto z = randn({3}, 2).requires_grad_(), y = randn({3}, 1);
  EXPECT_FALSE(Location(z, noise).score(y).requires_grad());
  const c10::InferenceMode inference;
  const auto outputs = randn({3}, 2);
  EXPECT_LT(relative_error(Location(outputs, noise).score(y), y - outputs), kExact);
}

TEST(LocationTest, TargetsThatAreNotFiniteAreNamedWithTheirPosition) {
  auto y = torch::zeros({2, 3}, torch::kDouble);
  y[1][0] = std::nan("");
  expect_error([&] { Location(randn({2, 3}, 1), laplace(1)).log_prob(y); }, "y[1, 0] = ");
}

}  // namespace
}  // namespace natgrad::testing::location_test
