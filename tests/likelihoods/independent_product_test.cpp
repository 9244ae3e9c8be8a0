#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/full_gaussian.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/independent_product.h>
#include <natgrad/likelihoods/laplace.h>
#include <natgrad/likelihoods/natural_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::independent_product_test {
namespace {

using Part = IndependentProduct::Part;

// Sums of a few terms of order one in double.
constexpr double kExact = 1e-13;

/// Two means, a class of three and a count: [N, 6], targets [N, 4].
std::vector<Part> heads() {
  return {{2, likelihood_of<Gaussian>(0.25)},
          {3, likelihood_of<Categorical>()},
          {1, likelihood_of<Poisson>()}};
}

Tensor targets_of_heads() {
  return torch::tensor({{0.5, -1.0, 2.0, 3.0}, {1.5, 0.2, 0.0, 0.0}}, torch::kDouble);
}

TEST(IndependentProductTest, IsTheSumOfItsPartsForEachExample) {
  const auto z = randn({2, 6}, 1), y = targets_of_heads(), v = randn({2, 6}, 2);
  const IndependentProduct product(z, heads());
  const Gaussian means(z.narrow(1, 0, 2), 0.25);
  const Categorical classes(z.narrow(1, 2, 3));
  const Poisson counts(z.narrow(1, 5, 1));
  const auto index = torch::tensor({2, 0}, torch::kLong);
  const auto of_means = y.narrow(1, 0, 2), of_counts = y.narrow(1, 3, 1);
  EXPECT_LT(relative_error(product.log_prob(y), means.log_prob(of_means).sum(1) +
                                                    classes.log_prob(index) +
                                                    counts.log_prob(of_counts).squeeze(1)),
            kExact);
  EXPECT_TRUE(identical(
      product.score(y),
      torch::cat({means.score(of_means), classes.score(index), counts.score(of_counts)}, 1)));
  const auto blocks = [&](auto product_of) {
    return torch::cat({product_of(means, v.narrow(1, 0, 2)), product_of(classes, v.narrow(1, 2, 3)),
                       product_of(counts, v.narrow(1, 5, 1))},
                      1);
  };
  const auto fisher = [](const Likelihood& l, const Tensor& t) { return l.fisher_multiply(t); };
  const auto factor = [](const Likelihood& l, const Tensor& t) { return l.factor_multiply(t); };
  EXPECT_TRUE(identical(product.fisher_multiply(v), blocks(fisher)));
  EXPECT_TRUE(identical(product.factor_multiply(v), blocks(factor)));
}

// The mean is over examples: a product of m outputs weighs as much as one output.
TEST(IndependentProductTest, TheMeanLossIsOverExamples) {
  const auto z = randn({4, 2}, 1).requires_grad_(), y = randn({4, 2}, 2);
  const std::vector<Part> parts{{1, likelihood_of<Gaussian>()}, {1, likelihood_of<Gaussian>(4.0)}};
  const auto loss = nll(std::make_shared<IndependentProduct>(z, parts), y);
  const auto d2 = (y - z).square().sum(0);
  const auto expected = 0.5 * (d2[0] + d2[1] / 4) / 4 + std::log(2 * M_PI) + std::log(2.0);
  EXPECT_LT(relative_error(loss, expected), kExact);
  const auto f = dense(fisher(LossGraph(loss, {z})));
  const auto diagonal = torch::tensor({0.25, 0.0625}, torch::kDouble).repeat({4});
  EXPECT_LT(relative_error(f, torch::diag(diagonal)), kExact);
}

TEST(IndependentProductTest, HessianIsFisherIfItIsForAllParts) {
  const auto z = randn({2, 6}, 1);
  EXPECT_TRUE(IndependentProduct(z, heads()).hessian_is_fisher());
  auto parts = heads();
  parts[0].make = likelihood_of<Laplace>();
  EXPECT_FALSE(IndependentProduct(z, parts).hessian_is_fisher());
}

// Families with fewer targets than outputs, with vectors and with maps as observations.
TEST(IndependentProductTest, PartsBringTheirTargetColumns) {
  const auto z = torch::cat({randn({3, 2}, 1), -1 - randn({3, 2}, 2).square()}, 1);
  const auto covariance = random_spd(2, 4, 3);
  const IndependentProduct product(
      torch::cat({z, randn({3, 2}, 4)}, 1),
      {{4, likelihood_of<NaturalGaussian>()}, {2, likelihood_of<FullGaussian>(covariance)}});
  EXPECT_EQ(product.sample(seeded(1)).sizes(), at::IntArrayRef({3, 4}));
  EXPECT_EQ(product.log_prob(randn({3, 4}, 5)).sizes(), at::IntArrayRef({3}));
  const auto maps = randn({2, 4, 5, 3}, 6);
  const IndependentProduct images(
      maps, {{3, likelihood_of<Categorical>()}, {1, likelihood_of<Gaussian>()}});
  const auto y = images.sample(seeded(1));
  EXPECT_EQ(y.sizes(), at::IntArrayRef({2, 2, 5, 3}));
  const auto expected =
      Categorical(maps.narrow(1, 0, 3)).log_prob(y.select(1, 0).to(torch::kLong)) +
      Gaussian(maps.select(1, 3)).log_prob(y.select(1, 1));
  EXPECT_LT(relative_error(images.log_prob(y), expected.sum({1, 2})), kExact);
  EXPECT_EQ(images.align(images.log_prob(y)).sizes(), at::IntArrayRef({2, 1, 1, 1}));
}

TEST(IndependentProductTest, BadTargetsAreNamedWithTheirPart) {
  const IndependentProduct product(randn({2, 6}, 1), heads());
  const auto with = [](int64_t column, double value) {
    auto y = targets_of_heads();
    y[1][column] = value;
    return y;
  };
  expect_error([&] { product.log_prob(with(1, HUGE_VAL)); }, "y[1, 1] = inf");
  expect_error([&] { product.log_prob(with(2, 0.5)); }, "y[1, 2] = 0.5");
  expect_error([&] { product.log_prob(with(2, 0.5)); }, "whole numbers, for Categorical(dim=1)");
  expect_error([&] { product.log_prob(with(2, std::nan(""))); }, "y[1, 2] = nan");
  expect_error([&] { product.log_prob(with(2, 3)); }, "a class index lies in 0..2");
  expect_error([&] { product.log_prob(with(3, -1)); }, "a count is a whole number >= 0");
  expect_error([&] { product.log_prob(with(3, -1)); }, "in the part of y from y[:, 3] on");
  expect_error([&] { product.log_prob(randn({2, 6}, 1)); }, "[2, 4]");
}

TEST(IndependentProductTest, PartsThatDoNotFitThrow) {
  const auto z = randn({3, 4}, 1);
  const auto product = [&](std::vector<Part> parts) { IndependentProduct result(z, parts); };
  const auto gaussian = likelihood_of<Gaussian>();
  expect_error([&] { product({}); }, "needs parts");
  expect_error([&] { product({{2, gaussian}}); }, "have 2 outputs together");
  expect_error([&] { product({{2, gaussian}, {3, gaussian}}); }, "from output 2 on has 3");
  expect_error([&] { product({{0, gaussian}, {4, gaussian}}); }, "at least one output");
  expect_error([&] { product({{4, nullptr}}); }, "a family");
  expect_error([&] { product({{4, likelihood_of<Categorical>(0)}}); }, "dimension 1");
  const auto other = [&](const Tensor&) { return std::make_shared<Gaussian>(z); };
  expect_error([&] { product({{4, other}}); }, "outputs it is given");
  expect_error([&] { IndependentProduct(randn({4}, 1), {{4, gaussian}}); }, "[N, M, ...]");
}

TEST(IndependentProductTest, MakingItLeavesTheDefaultGeneratorAlone) {
  const auto state = [] { return at::detail::getDefaultCPUGenerator().get_state(); };
  const auto before = state();
  IndependentProduct product(randn({2, 6}, 1), heads());
  EXPECT_TRUE(identical(state(), before));
}

// A loss after a step too large is not finite, and is for the optimizer to judge.
TEST(IndependentProductTest, OutputsThatAreNotFiniteGiveALossThatIsNotFinite) {
  auto z = randn({2, 6}, 1);
  z[1][5] = std::nan("");
  const auto log_prob = IndependentProduct(z, heads()).log_prob(targets_of_heads());
  EXPECT_TRUE(log_prob[0].isfinite().item<bool>());
  EXPECT_TRUE(log_prob[1].isnan().item<bool>());
}

TEST(IndependentProductTest, TextNamesPartsAndTheirOutputs) {
  EXPECT_EQ(IndependentProduct(randn({2, 6}, 1), heads()).describe(),
            "IndependentProduct(2 of Gaussian(variance=0.25), 3 of Categorical(dim=1), 1 of "
            "Poisson())");
}

}  // namespace
}  // namespace natgrad::testing::independent_product_test
