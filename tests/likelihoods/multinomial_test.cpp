#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/multinomial.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::multinomial_test {
namespace {

// A few roundings of relative size 1e-16 in each entry.
constexpr double kRounding = 1e-13;

// log 1, log 2 and log 3 have the probabilities 1/6, 2/6 and 3/6.
Tensor sixths() { return torch::tensor({{1.0, 2.0, 3.0}}, torch::kDouble).log(); }

Tensor counts(std::vector<double> y) { return torch::tensor(y, torch::kDouble).unsqueeze(0); }

TEST(MultinomialTest, ClosedFormOfFourTrials) {
  const Multinomial likelihood(sixths(), 4);
  // 4!/(1! 1! 2!) (1/6) (2/6) (3/6)².
  const double log_prob = std::log(12 * 2 * 9 / std::pow(6, 4));
  EXPECT_EQ(likelihood.log_prob(counts({1, 1, 2})).sizes(), torch::IntArrayRef({1}));
  EXPECT_NEAR(likelihood.log_prob(counts({1, 1, 2})).item<double>(), log_prob, kRounding);
  const auto score = torch::tensor({{2.0 / 6, -2.0 / 6, 0.0}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.score(counts({1, 1, 2})), score), kRounding);
  const auto v = torch::tensor({{1.0, 0.0, 0.0}}, torch::kDouble);
  const auto product = torch::tensor({{20.0 / 36, -8.0 / 36, -12.0 / 36}}, torch::kDouble);
  EXPECT_LT(relative_error(likelihood.fisher_multiply(v), product), kRounding);
}

TEST(MultinomialTest, OneTrialIsACategorical) {
  const auto z = randn({4, 3}, 1), v = randn({4, 3}, 2);
  const auto y = torch::tensor({2, 0, 1, 1}, torch::kLong);
  const auto one_hot = torch::one_hot(y, 3);
  const Multinomial likelihood(z, 1);
  const Categorical categorical(z);
  EXPECT_LT(relative_error(likelihood.log_prob(one_hot), categorical.log_prob(y)), kRounding);
  EXPECT_LT(relative_error(likelihood.score(one_hot), categorical.score(y)), kRounding);
  EXPECT_TRUE(identical(likelihood.fisher_multiply(v), categorical.fisher_multiply(v)));
  EXPECT_TRUE(identical(likelihood.factor_multiply(v), categorical.factor_multiply(v)));
}

TEST(MultinomialTest, ScoresOfIndependentTrialsAdd) {
  const auto z = randn({1, 3}, 1);
  auto score = torch::zeros({1, 3}, torch::kDouble);
  for (const int64_t k : {0, 2, 2, 1, 2}) {
    score += Categorical(z).score(torch::tensor({k}, torch::kLong));
  }
  EXPECT_LT(relative_error(Multinomial(z, 5).score(counts({1, 1, 3})), score), kRounding);
}

TEST(MultinomialTest, ACountForEachObservationIsEachAlone) {
  const auto z = randn({3, 4}, 1), v = randn({3, 4}, 2);
  const auto n = torch::tensor({2, 5, 0}, torch::kLong);
  const auto y = torch::tensor({{1.0, 0.0, 1.0, 0.0}, {0.0, 3.0, 1.0, 1.0}, {0.0, 0.0, 0.0, 0.0}},
                               torch::kDouble);
  const Multinomial all(z, n);
  for (int64_t i = 0; i < 3; ++i) {
    const auto of = [i](const Tensor& t) { return t.slice(0, i, i + 1); };
    const Multinomial one(of(z), n[i].item<int64_t>());
    EXPECT_LT(relative_error(of(all.log_prob(y)), one.log_prob(of(y))), kRounding);
    EXPECT_LT(relative_error(of(all.score(y)), one.score(of(y))), kRounding);
    EXPECT_LT(relative_error(of(all.fisher_multiply(v)), one.fisher_multiply(of(v))), kRounding);
    EXPECT_LT(relative_error(of(all.factor_multiply(v)), one.factor_multiply(of(v))), kRounding);
  }
  EXPECT_EQ(all.fisher_multiply(v)[2].abs().max().item<double>(), 0);
}

// A million trials; by mpmath. log n! alone is 1e7.
TEST(MultinomialTest, LogProbKeepsItsDigitsAtLargeCounts) {
  constexpr double kRoundingOfTheShares = 1e-9;  // n roundings of log p
  const auto y = counts({166000, 334000, 500000});
  EXPECT_NEAR(Multinomial(sixths(), 1000000).log_prob(y).item<double>(), -15.8619613219773594,
              kRoundingOfTheShares);
}

TEST(MultinomialTest, SamplesHaveTheMeansAndCovariances) {
  constexpr int64_t kDraws = 40000;
  for (const double n : {1.0, 7.0, 1e4}) {
    const auto z = sixths().expand({kDraws, 3}).contiguous();
    const auto y = Multinomial(z, static_cast<int64_t>(n)).sample(seeded(4));
    EXPECT_TRUE(y.sum(1).eq(n).all().item<bool>());
    const auto p = torch::tensor({1.0, 2.0, 3.0}, torch::kDouble) / 6;
    const auto x = (y - n * p) / std::sqrt(n);
    const auto covariance = torch::diag(p) - p.outer(p);
    // Entries of x have variances below ¼, and those of x xᵀ below ¼ + ...; five deviations.
    EXPECT_LT(x.mean(0).abs().max().item<double>(), 5 * 0.5 / std::sqrt(kDraws));
    const auto deviation = (x.t().mm(x) / kDraws - covariance).abs().max();
    EXPECT_LT(deviation.item<double>(), 5 * 0.5 / std::sqrt(kDraws));
  }
}

TEST(MultinomialTest, CountsThatDoNotSumToTheTotalAreNamed) {
  const Multinomial likelihood(randn({2, 3}, 1), 4);
  const auto y = torch::tensor({{1.0, 1.0, 2.0}, {1.0, 2.0, 2.0}}, torch::kDouble);
  expect_error([&] { likelihood.log_prob(y); }, "[1, 0] = 5");
  expect_error([&] { likelihood.score(y.to(torch::kLong)); }, "[1, 0] = 5");
  for (const double bad : {-1.0, 0.5, std::nan("")}) {
    const auto other = y.clone();
    other[0][2] = bad;
    expect_error([&] { likelihood.log_prob(other); }, "y[0, 2] = ");
  }
}

TEST(MultinomialTest, UnusableTotalsThrow) {
  const auto z = randn({2, 3}, 1);
  const auto n = torch::tensor({4.0, 2.5}, torch::kDouble);
  expect_error([&] { Multinomial(z, -1); }, "= -1");
  expect_error([&] { Multinomial(z, n); }, "count[1] = 2.5");
  expect_error([&] { Multinomial(z, torch::ones({3}, torch::kLong)); }, "counts of shape [2]");
  expect_error([&] { Multinomial(z, Tensor()); }, "count");
  expect_error([&] { Multinomial(z, 3, 2); }, "dimension 2");
  EXPECT_NO_THROW(Multinomial(z.to(torch::kFloat), int64_t{1} << 24));
  expect_error([&] { Multinomial(z.to(torch::kFloat), (int64_t{1} << 24) + 2); }, "16777216");
}

TEST(MultinomialTest, TextTellsTotalsApart) {
  const auto z = randn({2, 3}, 1);
  const auto n = torch::tensor({4, 2}, torch::kLong);
  EXPECT_NE(Multinomial(z, 3).describe(), Multinomial(z, 4).describe());
  EXPECT_NE(Multinomial(z, n).describe(), Multinomial(z, n + 1).describe());
  EXPECT_EQ(Multinomial(z, n).describe(), Multinomial(-z, n).describe());
}

TEST(MultinomialTest, ExamplesAreCountedPastTheClasses) {
  EXPECT_EQ(Multinomial(randn({2, 3, 4}, 1), 5).examples(), 2);
  EXPECT_EQ(Multinomial(randn({3, 7}, 1), 5, 0).examples(), 7);
  EXPECT_EQ(Multinomial(randn({3}, 1), 5, 0).examples(), 1);
}

}  // namespace
}  // namespace natgrad::testing::multinomial_test
