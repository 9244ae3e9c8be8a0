#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/preconditioners/kronecker_factored.h>

#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::kronecker_factored_test {
namespace {

// A few sums and products in another order.
constexpr double kRounding = 1e-12;
constexpr double kLambda = 1e-2;

/// A network on a batch of its own, with a parameter that no layer covers.
struct Model {
  Tensor w = parameter({4, 3}, 1), b = parameter({4}, 2), scale = parameter({4}, 3);

  LossGraph graph(uint64_t seed, double size = 1) const {
    const auto z = torch::linear(size * randn({5, 3}, seed), w, b) * scale;
    return {nll(Gaussian(z), torch::zeros_like(z)), {w, b, scale}, seeded(seed)};
  }
  /// The factors that `graph(seed)` gives to a preconditioner.
  KroneckerFactors factors(uint64_t seed) const {
    const auto read = graph(seed);
    return kronecker_factors(read, read.generator(Purpose::Preconditioner));
  }
};

Tensor matrix_of(const KroneckerFactors& factors, const LossGraph& graph) {
  return dense(kronecker_product(factors, graph.parameters()));
}

void expect_weighted_sum(const KroneckerFactors& sum, const std::vector<KroneckerFactors>& batches,
                         const std::vector<double>& weights) {
  auto a = torch::zeros_like(sum.blocks.at(0).activations);
  auto g = torch::zeros_like(sum.blocks.at(0).gradients);
  auto d = torch::zeros_like(sum.diagonal);
  for (size_t i = 0; i < batches.size(); ++i) {
    a += weights[i] * batches[i].blocks.at(0).activations;
    g += weights[i] * batches[i].blocks.at(0).gradients;
    d += weights[i] * batches[i].diagonal;
  }
  EXPECT_LT(relative_error(sum.blocks[0].activations, a), kRounding);
  EXPECT_LT(relative_error(sum.blocks[0].gradients, g), kRounding);
  EXPECT_LT(relative_error(sum.diagonal, d), kRounding);
}

TEST(KroneckerFactoredTest, AveragesThePlainWayAtFirstAndWithTheDecayLater) {
  const Model model;
  KroneckerFactored kfac;
  kfac.decay(0.6);
  for (uint64_t seed = 1; seed <= 4; ++seed) kfac.observe(model.graph(seed), kLambda);
  // ε = 0, 1/2, then 0.6 where 2/3 and 3/4 would be larger.
  expect_weighted_sum(kfac.averages(),
                      {model.factors(1), model.factors(2), model.factors(3), model.factors(4)},
                      {0.5 * 0.36, 0.5 * 0.36, 0.4 * 0.6, 0.4});
}

TEST(KroneckerFactoredTest, IsTheDampedInverseOfItsAverages) {
  const Model model;
  KroneckerFactored kfac;
  for (uint64_t seed = 1; seed <= 2; ++seed) kfac.observe(model.graph(seed), kLambda);
  const auto graph = model.graph(3);
  for (const double lambda : {kLambda, 10 * kLambda}) {
    const auto expected = matrix_of(damped_inverse(kfac.averages(), lambda), graph);
    EXPECT_LT(relative_error(dense(kfac.at(graph, lambda)), expected), kRounding);
  }
}

TEST(KroneckerFactoredTest, WithoutObservationsTakesTheGraphAlone) {
  const Model model;
  const auto expected = matrix_of(damped_inverse(model.factors(1), kLambda), model.graph(1));
  const KroneckerFactored kfac;
  EXPECT_LT(relative_error(dense(kfac.at(model.graph(1), kLambda)), expected), kRounding);
  EXPECT_FALSE(kfac.averages().diagonal.defined());
}

TEST(KroneckerFactoredTest, TheSameSeedsGiveTheSameBits) {
  const Model model;
  const auto run = [&] {
    KroneckerFactored kfac;
    kfac.factors(KroneckerOptions().share(0.6));
    for (uint64_t seed = 1; seed <= 3; ++seed) kfac.observe(model.graph(seed), kLambda);
    return dense(kfac.at(model.graph(4), kLambda));
  };
  EXPECT_TRUE(identical(run(), run()));
}

TEST(KroneckerFactoredTest, ObservingOnACopyLeavesTheOriginalAsItWas) {
  const Model model;
  KroneckerFactored kfac;
  kfac.observe(model.graph(1), kLambda);
  const auto before = dense(kfac.at(model.graph(9), kLambda)).clone();
  const auto copy = kfac.clone();
  copy->observe(model.graph(2), kLambda);
  EXPECT_TRUE(identical(dense(kfac.at(model.graph(9), kLambda)), before));
  EXPECT_FALSE(identical(dense(copy->at(model.graph(9), kLambda)), before));
}

// ---- Intervals. ----

TEST(KroneckerFactoredTest, FactorsAreRenewedAtFirstAndThenEverySoManySteps) {
  const Model model;
  KroneckerFactored kfac;
  kfac.factor_interval(5).decay(0.99);
  std::vector<KroneckerFactors> taken;
  for (uint64_t step = 0; step < 8; ++step) {
    kfac.observe(model.graph(step), kLambda);
    if (step <= 2 || step == 5) taken.push_back(model.factors(step));
  }
  expect_weighted_sum(kfac.averages(), taken, {0.25, 0.25, 0.25, 0.25});
}

TEST(KroneckerFactoredTest, AnOldInverseKeepsItsLambda) {
  const Model model;
  KroneckerFactored kfac;
  kfac.inverse_interval(5);
  for (uint64_t step = 0; step < 3; ++step) kfac.observe(model.graph(step), kLambda);
  const auto graph = model.graph(9);
  const auto old = matrix_of(damped_inverse(kfac.averages(), kLambda), graph);
  for (uint64_t step = 3; step < 5; ++step) {
    kfac.observe(model.graph(step), 7 * kLambda);
    EXPECT_LT(relative_error(dense(kfac.at(graph, 7 * kLambda)), old), kRounding);
  }
  kfac.observe(model.graph(5), 7 * kLambda);
  const auto renewed = matrix_of(damped_inverse(kfac.averages(), 7 * kLambda), graph);
  EXPECT_LT(relative_error(dense(kfac.at(graph, 7 * kLambda)), renewed), kRounding);
}

// ---- State. ----

TEST(KroneckerFactoredTest, ContinuesFromItsState) {
  const Model model;
  KroneckerFactored kfac;
  kfac.factor_interval(2).inverse_interval(3);
  for (uint64_t step = 0; step < 5; ++step) kfac.observe(model.graph(step), kLambda);
  auto other = KroneckerFactored().factor_interval(2).inverse_interval(3);
  other.set_state(kfac.state());
  for (uint64_t step = 5; step < 9; ++step) {
    const auto graph = model.graph(100);
    EXPECT_TRUE(identical(dense(other.at(graph, kLambda)), dense(kfac.at(graph, kLambda))));
    kfac.observe(model.graph(step), 2 * kLambda);
    other.observe(model.graph(step), 2 * kLambda);
  }
}

TEST(KroneckerFactoredTest, AnEmptyStateForgets) {
  const Model model;
  KroneckerFactored kfac;
  EXPECT_TRUE(kfac.state().empty());
  kfac.observe(model.graph(1), kLambda);
  kfac.set_state({});
  EXPECT_TRUE(kfac.state().empty());
}

TEST(KroneckerFactoredTest, AnotherStateThrowsAndChangesNothing) {
  const Model model;
  KroneckerFactored kfac;
  kfac.observe(model.graph(1), kLambda);
  const auto before = kfac.state();
  auto cut = before;
  cut.pop_back();
  auto longer = before;
  longer.push_back(torch::zeros({1}));
  for (const auto& wrong : {cut, longer, std::vector<Tensor>{torch::zeros({2})}}) {
    expect_error([&] { kfac.set_state(wrong); }, "not a state of KroneckerFactored");
  }
  const auto after = kfac.state();
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(identical(after[i], before[i]));
}

// ---- Faults. ----

TEST(KroneckerFactoredTest, ABatchThatIsNotFiniteIsNotAveragedIn) {
  const Model model;
  KroneckerFactored kfac;
  kfac.observe(model.graph(1), kLambda);
  kfac.observe(model.graph(2, 1e200), kLambda);  // its A overflows
  expect_weighted_sum(kfac.averages(), {model.factors(1)}, {1});
}

TEST(KroneckerFactoredTest, AnotherModelStartsAnew) {
  const Model model;
  const auto v = parameter({2, 3}, 5);
  const auto z = torch::linear(randn({5, 3}, 6), v);
  const LossGraph other(nll(Gaussian(z), torch::zeros_like(z)), {v}, seeded(6));
  KroneckerFactored kfac;
  kfac.observe(model.graph(1), kLambda);
  expect_error([&] { kfac.at(other, kLambda); }, "Use one for each model");
  kfac.observe(other, kLambda);
  expect_weighted_sum(kfac.averages(),
                      {kronecker_factors(other, other.generator(Purpose::Preconditioner))}, {1});
}

TEST(KroneckerFactoredTest, OptionsOutOfRangeThrow) {
  const auto graph = Model().graph(1);
  expect_error([&] { KroneckerFactored().at(graph, 0); }, "lambda > 0");
  expect_error([&] { KroneckerFactored().decay(1).at(graph, kLambda); }, "in [0, 1)");
  expect_error([&] { KroneckerFactored().inverse_interval(0).at(graph, kLambda); }, "at least 1");
  expect_error([&] { KroneckerFactored().factor_interval(0).at(graph, kLambda); }, "at least 1");
}

}  // namespace
}  // namespace natgrad::testing::kronecker_factored_test
