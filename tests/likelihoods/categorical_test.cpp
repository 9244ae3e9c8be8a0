#include <natgrad/likelihoods/categorical.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::categorical_test {
namespace {

// A few roundings of relative size 1e-16 in each entry.
constexpr double kRounding = 1e-13;

/// (F_R v)_i = Σ_j p_i p_j (v_i - v_j) for one observation: no terms cancel at any logit gap.
Tensor pairwise_fisher_product(const Tensor& z, const Tensor& v) {
  const auto e = (z - z.max()).exp();
  const auto p = e / e.sum();
  return ((v.unsqueeze(1) - v.unsqueeze(0)) * p.unsqueeze(1) * p.unsqueeze(0)).sum(1);
}

double largest_relative_entry_error(const Tensor& actual, const Tensor& expected) {
  const auto size = expected.abs().masked_fill(expected.eq(0), 1);  // products that underflow
  return ((actual - expected).abs() / size).max().item<double>();
}

// log 1, log 2 and log 3 have the probabilities 1/6, 2/6 and 3/6.
Tensor sixths() { return torch::tensor({{1.0, 2.0, 3.0}}, torch::kDouble).log(); }

TEST(CategoricalTest, ClosedFormOfThreeClasses) {
  const Categorical likelihood(sixths());
  const auto y = torch::tensor({1}, torch::kLong);
  const auto v = torch::tensor({{1.0, 0.0, 0.0}}, torch::kDouble);
  EXPECT_NEAR(likelihood.log_prob(y).item<double>(), -std::log(3.0), kRounding);
  const auto score = torch::tensor({{-1.0 / 6, 2.0 / 3, -0.5}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(y), score), kRounding);
  const auto product = torch::tensor({{5.0 / 36, -2.0 / 36, -3.0 / 36}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(v), product), kRounding);
}

TEST(CategoricalTest, TwoClassesAreABernoulliInTheirDifference) {
  constexpr double kGap = 1.7;
  const Categorical likelihood(torch::tensor({{kGap, 0.0}}, torch::kDouble));
  const double p = 1 / (1 + std::exp(-kGap));
  const auto v = torch::tensor({{1.0, -1.0}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(v), 2 * p * (1 - p) * v), kRounding);
}

TEST(CategoricalTest, OneClassIsCertain) {
  const Categorical likelihood(torch::tensor({{3.0}, {-2.0}}, torch::kDouble));
  const auto y = torch::zeros({2}, torch::kLong);
  EXPECT_EQ(likelihood.log_prob(y).abs().max().item<double>(), 0);
  EXPECT_EQ(likelihood.score(y).abs().max().item<double>(), 0);
  EXPECT_EQ(likelihood.fisher_multiply(randn({2, 1}, 1)).abs().max().item<double>(), 0);
  EXPECT_TRUE(identical(likelihood.sample(seeded(1)), y));
}

TEST(CategoricalTest, OneNumberAddedToAllLogitsChangesNothing) {
  const auto z = randn({3, 4}, 1);
  const auto v = randn({3, 4}, 2);
  const auto y = torch::tensor({0, 3, 1}, torch::kLong);
  // z + 512 is rounded at 1e-13.
  constexpr double kRoundingOf512 = 1e-12;
  const Categorical here(z), there(z + 512);
  EXPECT_LT(relative_error(there.log_prob(y), here.log_prob(y)), kRoundingOf512);
  EXPECT_LT(relative_error(there.score(y), here.score(y)), kRoundingOf512);
  EXPECT_LT(relative_error(there.fisher_multiply(v), here.fisher_multiply(v)), kRoundingOf512);
}

TEST(CategoricalTest, EqualChangesOfAllLogitsAreTheNullDirection) {
  const Categorical likelihood(randn({3, 4}, 1));
  const auto product = likelihood.fisher_multiply(torch::ones({3, 4}, torch::kDouble));
  EXPECT_LT(product.abs().max().item<double>(), kRounding);
}

TEST(CategoricalTest, ScoresAndProductsSumToZeroOverTheClasses) {
  const Categorical likelihood(randn({3, 4, 2}, 1));
  const auto y = torch::tensor({{0, 3}, {1, 2}, {3, 3}}, torch::kLong);
  EXPECT_LT(likelihood.score(y).sum(1).abs().max().item<double>(), kRounding);
  EXPECT_LT(likelihood.fisher_multiply(randn({3, 4, 2}, 2)).sum(1).abs().max().item<double>(),
            kRounding);
}

// p⊙(v - pᵀv) loses 2e-4 of a product at a gap of 30, and all of it beyond 37.
TEST(CategoricalTest, ProductsAreExactInEveryEntryAtLargeLogitGaps) {
  for (const double gap : {0.0, 5.0, 30.0, 60.0, 300.0, 700.0}) {
    for (const auto& z : {torch::tensor({0.0, -gap, -0.5 * gap, -gap - 1}, torch::kDouble),
                          torch::tensor({-gap, 0.0, -gap, -gap}, torch::kDouble)}) {
      for (const auto& v : {randn({4}, 5), torch::tensor({1.0, 0.0, 0.0, 0.0}, torch::kDouble),
                            torch::tensor({0.0, 1.0, 0.0, 0.0}, torch::kDouble)}) {
        const auto product = Categorical(z.unsqueeze(0)).fisher_multiply(v.unsqueeze(0)).squeeze(0);
        EXPECT_LT(largest_relative_entry_error(product, pairwise_fisher_product(z, v)), kRounding)
            << "gap " << gap;
      }
    }
  }
}

TEST(CategoricalTest, ProductsAreExactInFloat32AtLargeLogitGaps) {
  constexpr double kRoundingFloat = 1e-5;  // exp(-60) of a float32 argument has 60 roundings of it
  for (const double gap : {10.0, 20.0, 60.0}) {
    const auto z = torch::tensor({0.0, -gap, -0.5 * gap}, torch::kDouble);
    const auto v = torch::tensor({0.5, -1.0, 2.0}, torch::kDouble);
    const Categorical narrow(z.unsqueeze(0).to(torch::kFloat));
    const auto product = narrow.fisher_multiply(v.unsqueeze(0).to(torch::kFloat)).squeeze(0);
    EXPECT_LT(largest_relative_entry_error(product, pairwise_fisher_product(z, v)), kRoundingFloat)
        << "gap " << gap;
  }
}

TEST(CategoricalTest, FactorTimesItsTransposeIsTheFisherAtALargeLogitGap) {
  // The entry of B at the likely class is 1 - p there, known to 1e-16; it enters B Bᵀ squared.
  constexpr double kFactorRounding = 1e-8;
  const auto z = torch::tensor({0.0, -30.0, -31.0}, torch::kDouble);
  const Categorical likelihood(z.unsqueeze(0));
  std::vector<Tensor> b, f;
  for (int64_t j = 0; j < 3; ++j) {
    const auto basis = torch::eye(3, torch::kDouble)[j];
    b.push_back(likelihood.factor_multiply(basis.unsqueeze(0)).squeeze(0));
    f.push_back(pairwise_fisher_product(z, basis));
  }
  const auto factor = torch::stack(b, 1);
  EXPECT_LT(largest_relative_entry_error(factor.mm(factor.t()), torch::stack(f, 1)),
            kFactorRounding);
}

TEST(CategoricalTest, LogProbAndScoreAtLogitsOf1e4) {
  for (const auto dtype : {torch::kFloat, torch::kDouble}) {
    const Categorical likelihood(torch::tensor({{1e4, -1e4, 0.0}}, dtype));
    const auto of = [&](int64_t y) {
      return likelihood.log_prob(torch::tensor({y})).item<double>();
    };
    EXPECT_EQ(of(0), 0);
    EXPECT_EQ(of(1), -2e4);
    EXPECT_EQ(of(2), -1e4);
    const auto score = likelihood.score(torch::tensor({1}, torch::kLong));
    EXPECT_TRUE(identical(score, torch::tensor({{-1.0, 1.0, 0.0}}, dtype)));
  }
}

// With weights that do not sum to one, the Hessian would be a multiple of F_R, and F not G.
TEST(CategoricalTest, ProbabilitiesThatDoNotSumToOneThrow) {
  const Categorical likelihood(randn({2, 3}, 1));
  const auto y = torch::tensor({{0.2, 0.3, 0.5}, {2.0, 0.0, 0.5}}, torch::kDouble);
  expect_error([&] { likelihood.log_prob(y); }, "y[1, 0]");
}

// The loss of cross_entropy with class probabilities.
TEST(CategoricalTest, ProbabilitiesOfTheClassesAverageLogProbAndScore) {
  const auto z = randn({2, 3}, 1);
  const Categorical likelihood(z);
  const auto weights = torch::tensor({{0.2, 0.3, 0.5}, {0.75, 0.0, 0.25}}, torch::kDouble);
  auto log_prob = torch::zeros({2}, torch::kDouble);
  auto score = torch::zeros({2, 3}, torch::kDouble);
  for (int64_t k = 0; k < 3; ++k) {
    const auto weight = weights.select(1, k);
    const auto y = torch::full({2}, k, torch::kLong);
    log_prob += weight * likelihood.log_prob(y);
    score += weight.unsqueeze(1) * likelihood.score(y);
  }
  EXPECT_LT(relative_error(likelihood.log_prob(weights), log_prob), kRounding);
  EXPECT_LT(relative_error(likelihood.score(weights), score), kRounding);
}

TEST(CategoricalTest, AlignPutsAnObservationsNumberOverItsClasses) {
  const auto per_observation = torch::tensor({{1.0, 2.0}, {3.0, 4.0}}, torch::kDouble);
  const auto aligned = Categorical(randn({2, 3, 2}, 1)).align(per_observation).expand({2, 3, 2});
  EXPECT_EQ(aligned[1][0][1].item<double>(), 4);
  EXPECT_EQ(aligned[1][2][1].item<double>(), 4);
  EXPECT_EQ(aligned[0][1][0].item<double>(), 1);
}

TEST(CategoricalTest, SampleFrequenciesAreTheProbabilities) {
  constexpr int64_t kDraws = 60000;
  const auto y = Categorical(sixths().expand({kDraws, 3}).contiguous()).sample(seeded(4));
  const auto counts = torch::bincount(y, {}, 3).to(torch::kDouble);
  const auto expected = kDraws * torch::tensor({1.0, 2.0, 3.0}, torch::kDouble) / 6;
  const double chi_squared = ((counts - expected).square() / expected).sum().item<double>();
  EXPECT_LT(chi_squared, 27.6);  // two degrees of freedom: exceeded once in a million
}

TEST(CategoricalTest, IndicesOutsideTheClassesAreNamedWithTheirPosition) {
  const Categorical flat(randn({4, 3}, 1));
  const auto expect_refused = [](const Categorical& likelihood, const Tensor& y,
                                 const char* needle) {
    expect_error([&] { likelihood.check_targets(y); }, needle);
    expect_error([&] { likelihood.log_prob(y); }, needle);
    expect_error([&] { likelihood.score(y); }, needle);
  };
  expect_refused(flat, torch::tensor({0, 1, -1, 5}, torch::kLong), "y[2] = -1");
  expect_refused(flat, torch::tensor({0, 1, 2, 3}, torch::kLong), "y[3] = 3");
  expect_refused(flat, torch::tensor({0, 1, 2, -100}, torch::kLong), "0..2");
  const Categorical image(randn({2, 3, 2, 2}, 1));
  const auto y = torch::zeros({2, 2, 2}, torch::kLong);
  y[1][0][1] = 3;
  expect_refused(image, y, "y[1, 0, 1] = 3");
}

TEST(CategoricalTest, IndicesOfAnotherShapeOrTypeThrow) {
  const Categorical likelihood(randn({4, 3}, 1));
  const auto expect_refused = [&](const Tensor& y, const char* needle) {
    expect_error([&] { likelihood.score(y); }, needle);
  };
  expect_refused(torch::zeros({3}, torch::kLong), "[4]");
  expect_refused(torch::zeros({4, 1}, torch::kLong), "[4]");
  expect_refused(torch::zeros({4, 3}, torch::kLong), "[4]");
  expect_refused(torch::zeros({}, torch::kLong), "[4]");
  expect_refused(torch::zeros({4}, torch::kInt), "int64");
  expect_refused(torch::zeros({4}, torch::kBool), "int64");
  expect_refused(torch::zeros({4}, torch::kDouble), "[4, 3]");
}

TEST(CategoricalTest, WeightsThatAreNegativeOrNotFiniteThrow) {
  const Categorical likelihood(randn({2, 3}, 1));
  for (const double bad : {-1e-3, std::nan(""), HUGE_VAL}) {
    const auto weights = torch::full({2, 3}, 0.25, torch::kDouble);
    weights[1][2] = bad;
    expect_error([&] { likelihood.log_prob(weights); }, "y[1, 2] = ");
  }
}

TEST(CategoricalTest, AClassDimensionThatIsNotThereThrows) {
  expect_error([] { Categorical(randn({3}, 1)); }, "dimension 1");
  expect_error([] { Categorical(randn({3, 2}, 1), 2); }, "dimension 2");
  expect_error([] { Categorical(randn({3, 2}, 1), -3); }, "dimension -3");
  expect_error([] { Categorical(randn({}, 1), 0); }, "dimension 0");
}

// A batch without examples is refused where the loss is read; here it must only keep its shapes.
TEST(CategoricalTest, NoExamplesKeepTheirShapes) {
  const Categorical likelihood(randn({0, 3}, 1));
  const auto y = torch::zeros({0}, torch::kLong);
  EXPECT_EQ(likelihood.log_prob(y).sizes(), torch::IntArrayRef({0}));
  EXPECT_EQ(likelihood.score(y).sizes(), torch::IntArrayRef({0, 3}));
  EXPECT_EQ(likelihood.fisher_multiply(randn({0, 3}, 2)).sizes(), torch::IntArrayRef({0, 3}));
  EXPECT_EQ(likelihood.sample(seeded(1)).sizes(), torch::IntArrayRef({0}));
}

}  // namespace
}  // namespace natgrad::testing::categorical_test
