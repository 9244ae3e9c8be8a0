#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gamma.h>
#include <natgrad/likelihoods/independent_product.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/exponential_families.h"
#include "support/oracles.h"

// The general family against the closed forms of those that have a header of their own, and of Beta
// and von Mises.

namespace natgrad::testing::exponential_family_test {
namespace {

// Sums of a few terms of order one, some of which cancel, in double.
constexpr double kRounding = 1e-12;

Tensor column(const Tensor& t) { return t.unsqueeze(1); }

ExponentialFamilyOptions bernoulli() {
  return ExponentialFamilyOptions("Bernoulli").statistics(column).log_partition([](auto& z) {
    return torch::log1p(z.exp()).squeeze(1);
  });
}

ExponentialFamilyOptions poisson() {
  return ExponentialFamilyOptions("Poisson")
      .statistics(column)
      .log_partition([](auto& z) { return z.exp().squeeze(1); })
      .log_base_measure([](auto& y) { return -torch::lgamma(y.to(torch::kDouble) + 1); });
}

ExponentialFamilyOptions gamma() {
  return ExponentialFamilyOptions("Gamma")
      .statistics([](auto& y) {
        return torch::stack({y.log(), y}, 1);
      })
      .log_partition([](auto& z) {
        const auto alpha = z.select(1, 0), minus_beta = z.select(1, 1);
        return log_gamma(alpha) - alpha * torch::log(-minus_beta);
      })
      .log_base_measure([](auto& y) { return -y.log(); });
}

ExponentialFamilyOptions gaussian() {
  return ExponentialFamilyOptions("Gaussian")
      .statistics([](auto& y) {
        return torch::stack({y, y.square()}, 1);
      })
      .log_partition([](auto& z) {
        const auto a = z.select(1, 0), b = z.select(1, 1);
        return -a.square() / (4 * b) - 0.5 * torch::log(-b / std::numbers::pi);
      });
}

/// One natural parameter for each of K classes, one more than there need be.
ExponentialFamilyOptions one_hot(int64_t classes) {
  return ExponentialFamilyOptions("OneHot")
      .statistics([=](auto& y) { return torch::one_hot(y, classes).to(torch::kDouble); })
      .log_partition([](auto& z) { return z.logsumexp(1); })
      .support([=](auto& y) { return y.ge(0).logical_and(y.lt(classes)); });
}

/// The matrix of v ↦ F_R v or r ↦ B r over all of z.
template <class Map>
Tensor matrix(const Likelihood& likelihood, Map map) {
  return matrix_of(
      [&](const Tensor& v) { return (likelihood.*map)(v.view(likelihood.outputs().sizes())); },
      likelihood.outputs().numel());
}

void expect_same_products(const Likelihood& general, const Likelihood& known) {
  const auto f = matrix(known, &Likelihood::fisher_multiply);
  const auto b = matrix(general, &Likelihood::factor_multiply);
  EXPECT_LT(relative_error(matrix(general, &Likelihood::fisher_multiply), f), kRounding);
  EXPECT_LT(relative_error(b.mm(b.t()), f), kRounding);
}

void expect_same(const Likelihood& general, const Tensor& y, const Likelihood& known,
                 const Tensor& known_y) {
  const auto log_prob = known.log_prob(known_y).reshape(-1);
  EXPECT_LT(relative_error(general.log_prob(y), log_prob), kRounding);
  EXPECT_LT(relative_error(general.score(y), known.score(known_y)), kRounding);
  expect_same_products(general, known);
}

TEST(ExponentialFamilyTest, IsTheBernoulli) {
  const auto z = randn({5, 1}, 1), y = torch::tensor({0.0, 1.0, 1.0, 0.0, 1.0}, torch::kDouble);
  expect_same(ExponentialFamily(z, bernoulli()), y, Bernoulli(z), column(y));
}

TEST(ExponentialFamilyTest, IsThePoisson) {
  const auto z = randn({5, 1}, 1), y = torch::arange(5, torch::kDouble);
  expect_same(ExponentialFamily(z, poisson()), y, Poisson(z), column(y));
  const auto counts = y.to(torch::kLong);
  expect_same(ExponentialFamily(z, poisson()), counts, Poisson(z), column(counts));
}

TEST(ExponentialFamilyTest, IsTheGamma) {
  const auto z = torch::stack({randn({5}, 1).exp(), -randn({5}, 2).exp()}, 1);
  const auto y = randn({5}, 3).exp();
  expect_same(ExponentialFamily(z, gamma()), y, Gamma(z), column(y));
}

TEST(ExponentialFamilyTest, IsTheNaturalGaussian) {
  const auto z = torch::stack({randn({5}, 1), -randn({5}, 2).exp()}, 1);
  const auto y = randn({5}, 3);
  expect_same(ExponentialFamily(z, gaussian()), y, NaturalGaussian(z), column(y));
}

// Its F_R is singular: Cholesky's algorithm may or may not stop.
TEST(ExponentialFamilyTest, IsTheCategoricalWithAParameterTooMany) {
  const auto z = torch::cat({randn({6, 3}, 1), torch::zeros({1, 3}, torch::kDouble),
                             torch::tensor({{60.0, 0.0, -60.0}}, torch::kDouble)});
  const auto y = torch::tensor({0, 2, 1, 1, 0, 2, 1, 0}, torch::kLong);
  expect_same(ExponentialFamily(z, one_hot(3)), y, Categorical(z), y);
}

// [[ψ₁(α) - t, -t], [-t, ψ₁(β) - t]] with t = ψ₁(α + β), and ψ₁ at whole numbers π²/6 - Σ 1/k².
TEST(ExponentialFamilyTest, IsTheBeta) {
  const auto trigamma = [](int n) {
    double sum = std::numbers::pi * std::numbers::pi / 6;
    for (int k = 1; k < n; ++k) sum -= 1.0 / (k * k);
    return sum;
  };
  for (const auto& [alpha, beta] : std::vector<std::pair<int, int>>{{1, 1}, {2, 5}, {9, 3}}) {
    const auto z = torch::tensor({{1.0 * alpha, 1.0 * beta}}, torch::kDouble);
    const double t = trigamma(alpha + beta);
    const auto expected =
        torch::tensor({{trigamma(alpha) - t, -t}, {-t, trigamma(beta) - t}}, torch::kDouble);
    const ExponentialFamily likelihood(z, natgrad::testing::beta());
    EXPECT_LT(relative_error(matrix(likelihood, &Likelihood::fisher_multiply), expected),
              kRounding);
    const auto b = matrix(likelihood, &Likelihood::factor_multiply);
    EXPECT_LT(relative_error(b.mm(b.t()), expected), kRounding);
  }
}

// With u = z/κ: (1 - A/κ - A²) uuᵀ + (A/κ)(I - uuᵀ), A = I₁(κ)/I₀(κ), by the integrals of the
// Bessel functions.
TEST(ExponentialFamilyTest, IsTheVonMises) {
  for (const double kappa : {0.05, 1.0, 4.0, 30.0}) {
    const auto u = torch::tensor({{0.6, -0.8}}, torch::kDouble);
    double i0 = 0, i1 = 0;
    for (int k = 0; k < 200; ++k) {
      const double angle = 2 * std::numbers::pi * k / 200;
      i0 += std::exp(kappa * (std::cos(angle) - 1));
      i1 += std::exp(kappa * (std::cos(angle) - 1)) * std::cos(angle);
    }
    const double a = i1 / i0;
    const auto uu = u.t().mm(u), identity = torch::eye(2, torch::kDouble);
    const auto expected = (1 - a / kappa - a * a) * uu + a / kappa * (identity - uu);
    const ExponentialFamily likelihood(kappa * u, von_mises());
    EXPECT_LT(relative_error(matrix(likelihood, &Likelihood::fisher_multiply), expected), kRounding)
        << kappa;
    const auto y = torch::tensor({1.0}, torch::kDouble);
    const auto score = torch::tensor({{std::cos(1.0), std::sin(1.0)}}, torch::kDouble) - a * u;
    EXPECT_LT(relative_error(likelihood.score(y), score), kRounding) << kappa;
  }
}

// The theorem, through a network: the Gauss-Newton matrix of the loss, by double backward, is the
// Fisher matrix.
TEST(ExponentialFamilyTest, GaussNewtonOfANetworkIsTheFisher) {
  const auto x = randn({6, 3}, 1), y = randn({6}, 2).sigmoid();
  const auto w = randn({3, 2}, 3).requires_grad_();
  const LossGraph graph(nll(ExponentialFamily(torch::softplus(x.mm(w)), beta()), y), {w});
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), dense(fisher(graph))), kRounding);
}

// T alone tells the sample: ε = 1 is Newton's step on log Z(z) - zᵀ(mean of T).
TEST(ExponentialFamilyTest, NaturalGradientStepsReachTheMaximumLikelihood) {
  const auto y = torch::tensor({0.5, 1.2, 2.0, 0.9, 3.1}, torch::kDouble);
  auto theta = torch::tensor({1.0, -1.0}, torch::kDouble);
  for (int k = 0; k < 10; ++k) {
    const ExponentialFamily likelihood(theta.expand({5, 2}), gamma());
    const auto f = matrix_of(
        [&](const Tensor& v) {
          return likelihood.fisher_multiply(v.expand({5, 2})).mean(0);
        },
        2);
    theta = theta + torch::linalg_solve(f, likelihood.score(y).mean(0));
  }
  const auto expected = torch::tensor({2.78550735565069, -1.80877101016279}, torch::kDouble);
  EXPECT_LT(relative_error(theta, expected), kRounding);
}

TEST(ExponentialFamilyTest, TargetsMayHaveAnyShapePastTheExamples) {
  const auto products = ExponentialFamilyOptions("Products")
                            .statistics([](auto& y) { return y.prod(2); })
                            .log_partition([](auto& z) { return 0.5 * z.square().sum(1); });
  const auto z = randn({4, 3}, 1), y = randn({4, 3, 2}, 2);
  const ExponentialFamily likelihood(z, products);
  EXPECT_EQ(likelihood.log_prob(y).sizes(), torch::IntArrayRef({4}));
  EXPECT_LT(relative_error(likelihood.score(y), y.prod(2) - z), kRounding);
}

TEST(ExponentialFamilyTest, ALinearLogPartitionHasNoFisher) {
  const auto linear = ExponentialFamilyOptions("Linear").statistics(column).log_partition(
      [](auto& z) { return 3 * z.squeeze(1); });
  const ExponentialFamily likelihood(randn({4, 1}, 1), linear);
  const auto zero = torch::zeros({4, 1}, torch::kDouble), v = randn({4, 1}, 2);
  EXPECT_TRUE(identical(likelihood.fisher_multiply(v), zero));
  EXPECT_TRUE(identical(likelihood.factor_multiply(v), zero));
}

TEST(ExponentialFamilyTest, ProductsFollowOutputsChangedInPlace) {
  const auto z = randn({4, 1}, 1), v = randn({4, 1}, 2);
  const ExponentialFamily likelihood(z, poisson());
  likelihood.factor_multiply(v);
  z.mul_(2);
  const ExponentialFamily fresh(z.clone(), poisson());
  EXPECT_TRUE(identical(likelihood.fisher_multiply(v), fresh.fisher_multiply(v)));
  EXPECT_TRUE(identical(likelihood.factor_multiply(v), fresh.factor_multiply(v)));
}

// Not the name: copies of the same options are one family, and options made twice are two.
TEST(ExponentialFamilyTest, TermsOfOneFamilyAreThoseOfTheSameFunctions) {
  const auto w = randn({3, 1}, 1).requires_grad_();
  const auto z = randn({5, 3}, 2).mm(w), y = torch::ones({5}, torch::kDouble);
  const auto terms_of = [&](const ExponentialFamilyOptions& a, const ExponentialFamilyOptions& b) {
    const auto loss = nll(ExponentialFamily(z, a), y) + nll(ExponentialFamily(z, b), y);
    return LossGraph(loss, {w}).terms().size();
  };
  const auto one = poisson().sampler([](auto&z, auto) { return z.exp().squeeze(1); }), copy = one;
  auto other = one;
  other.log_partition([](auto& z) { return 2 * z.exp().squeeze(1); });
  EXPECT_EQ(terms_of(one, copy), 1);
  EXPECT_EQ(terms_of(one, other), 2);
  const auto product = [&](const ExponentialFamilyOptions& of) {
    const auto make = [of](const Tensor& part) {
      return std::make_shared<ExponentialFamily>(part, of);
    };
    return IndependentProduct(z, {{1, make}});
  };
  EXPECT_TRUE(product(one).same_family(product(copy)));
  EXPECT_FALSE(product(one).same_family(product(other)));
}

TEST(ExponentialFamilyTest, WithoutASamplerItSaysWhatToPass) {
  const ExponentialFamily likelihood(randn({4, 1}, 1), poisson());
  expect_error([&] { likelihood.sample(); }, ".sampler(");
}

TEST(ExponentialFamilyTest, MissingFunctionsThrow) {
  const auto z = randn({4, 1}, 1);
  expect_error([&] { ExponentialFamily(z, ExponentialFamilyOptions("Mine")); }, "Mine");
  expect_error([&] { ExponentialFamily(z, ExponentialFamilyOptions("Mine").statistics(column)); },
               ".log_partition(");
}

TEST(ExponentialFamilyTest, ALogPartitionThatIsNotFiniteIsNamedWithItsRow) {
  auto z = torch::tensor({{1.0, -1.0}, {2.0, -0.5}, {2.0, 0.5}, {1.0, 3.0}}, torch::kDouble);
  expect_error([&] { ExponentialFamily(z, gamma()); }, "z[2] = (2, 0.5)");
  expect_error([&] { ExponentialFamily(z, gamma()); }, "softplus");
  z = z.narrow(0, 0, 2);
  z[1][0] = std::nan("");
  const ExponentialFamily likelihood(z, gamma());  // a diverged network
  const auto log_prob = likelihood.log_prob(torch::ones({2}, torch::kDouble));
  EXPECT_TRUE(all_finite(log_prob[0]));
  EXPECT_FALSE(all_finite(log_prob[1]));
  const auto factor = likelihood.factor_multiply(torch::ones_like(z));
  EXPECT_TRUE(all_finite(factor[0]));
  EXPECT_FALSE(all_finite(factor[1]));
}

TEST(ExponentialFamilyTest, ALogPartitionOfTheWrongShapeOrTypeThrows) {
  const auto z = randn({4, 1}, 1);
  const auto with = [&](auto log_partition) {
    return [=] { ExponentialFamily(z, poisson().log_partition(log_partition)); };
  };
  expect_error(with([](auto& z) { return z.exp(); }), "of shape [4, 1]");
  expect_error(with([](auto& z) { return z.exp().sum(); }), "of shape []");
  expect_error(with([](auto& z) { return z.exp().squeeze(1).to(torch::kFloat); }), "Float");
  expect_error([&] { ExponentialFamily(randn({4}, 1), poisson()); }, "[N, K]");
}

TEST(ExponentialFamilyTest, ALogPartitionWithoutAGraphThrows) {
  const auto cut = poisson().log_partition([](auto& z) { return z.detach().exp().squeeze(1); });
  const ExponentialFamily likelihood(randn({4, 1}, 1), cut);
  expect_error([&] { likelihood.fisher_multiply(randn({4, 1}, 2)); }, "detach()");
}

// As many examples as parameters, so that the shape does not tell.
TEST(ExponentialFamilyTest, ALogPartitionThatMixesTheExamplesThrows) {
  const auto wrong = one_hot(3).log_partition([](auto& z) { return z.logsumexp(0); });
  const ExponentialFamily likelihood(randn({3, 3}, 1), wrong);
  expect_error([&] { likelihood.fisher_multiply(randn({3, 3}, 2)); }, "mixes the examples");
}

TEST(ExponentialFamilyTest, ALogPartitionThatIsNotConvexIsNamedWithItsRow) {
  const auto wave = poisson().log_partition([](auto& z) { return -z.cos().squeeze(1); });
  const ExponentialFamily likelihood(column(torch::tensor({0.5, 1.0, 2.5}, torch::kDouble)), wave);
  expect_error([&] { likelihood.factor_multiply(randn({3, 1}, 2)); }, "z[2] = (2.5)");
  expect_error([&] { likelihood.factor_multiply(randn({3, 1}, 2)); }, "convex");
}

TEST(ExponentialFamilyTest, StatisticsOfTheWrongShapeThrow) {
  const auto y = torch::ones({4}, torch::kDouble);
  const ExponentialFamily flat(randn({4, 1}, 1), poisson().statistics([](auto& y) { return y; }));
  expect_error([&] { flat.log_prob(y); }, "T(y)");
  const ExponentialFamily likelihood(randn({4, 1}, 1), poisson());
  expect_error([&] { likelihood.score(y.narrow(0, 0, 3)); }, "shape [3]");
  const auto h = [](auto& y) { return -torch::lgamma(y + 1).sum(); };
  const ExponentialFamily summed(randn({4, 1}, 1), poisson().log_base_measure(h));
  expect_error([&] { summed.log_prob(y); }, "log h(y)");
}

// lgamma of an integer tensor is float32.
TEST(ExponentialFamilyTest, FunctionsThatLosePrecisionThrow) {
  const auto h = [](auto& y) { return -torch::lgamma(y + 1); };
  const ExponentialFamily likelihood(randn({4, 1}, 1), poisson().log_base_measure(h));
  EXPECT_NO_THROW(likelihood.log_prob(torch::arange(4, torch::kDouble)));
  expect_error([&] { likelihood.log_prob(torch::arange(4, torch::kLong)); },
               "y.to(torch::kDouble)");
  const ExponentialFamily coarse(randn({4, 1}, 1), poisson().statistics([](auto& y) {
    return y.to(torch::kFloat).unsqueeze(1);
  }));
  expect_error([&] { coarse.score(torch::arange(4, torch::kDouble)); }, "T(y)");
}

TEST(ExponentialFamilyTest, TargetsOutsideTheSupportAreNamed) {
  const ExponentialFamily likelihood(torch::ones({3, 2}, torch::kDouble), beta());
  auto y = torch::tensor({0.5, 0.25, 1.0}, torch::kDouble);
  expect_error([&] { likelihood.log_prob(y); }, "y[2] = 1");
  const ExponentialFamily open(torch::ones({3, 2}, torch::kDouble), beta().support(nullptr));
  expect_error([&] { open.score(y); }, "T(y)[2, 1] = -inf");
  const auto scalar = [](auto& y) { return y.gt(0).all(); };
  const ExponentialFamily one(torch::ones({3, 2}, torch::kDouble), beta().support(scalar));
  expect_error([&] { one.score(y); }, "bool of y's shape");
}

// T = (y, y²) at μ = 30: F_R's eigenvalues differ by 1e6, and in float32 the smaller one is no
// rounding. sᵀF_R⁻s of y = μ + 3σ is 9 + 64/2 = 41.
TEST(ExponentialFamilyTest, StatisticsOfDifferentSizesKeepTheirDirectionsInFloat32) {
  constexpr double kCondition = 1e-2;  // float32's rounding times the condition of F_R in its units
  for (const double mu : {0., 30., 100.}) {
    const auto z = torch::tensor({{mu, -0.5}}).to(torch::kFloat);
    const ExponentialFamily family(z, gaussian());
    const double y = mu + 3;
    const auto score = torch::tensor({{y - mu, y * y - mu * mu - 1}}).to(torch::kFloat);
    EXPECT_NEAR((score * family.fisher_solve(score)).sum().item<double>(), 41, 41 * kCondition)
        << mu;
  }
}

}  // namespace
}  // namespace natgrad::testing::exponential_family_test
