#include <natgrad/curvature/diagonals.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>

#include "support/dense_oracles.h"
#include "support/example_gradients.h"

namespace natgrad::testing::diagonals_test {
namespace {

// Theory's bar in double.
constexpr double kRounding = 1e-10;
constexpr double kDeviations = 5;  // of a mean: once in 1.7 million trials; seeds are fixed

Tensor diagonal_of(const LinearOperator& C) { return dense(C).diagonal(); }

struct Diagonals : ::testing::TestWithParam<LossCase> {
  Problem problem = make_problem(GetParam());

  /// Mean and its standard deviation over single draws.
  template <class Draw>
  std::pair<Tensor, Tensor> over_draws(Draw draw, int draws) const {
    std::vector<Tensor> values;
    for (int i = 0; i < draws; ++i) values.push_back(draw());
    const auto all = torch::stack(values);
    return {all.mean(0), all.std(0) / std::sqrt(draws)};
  }
};

/// ‖a‖²‖b‖² + (a·b)² - 2 Σ aₖ²bₖ² for each entry, with a and b the columns of J and H_L J.
Tensor stated_variance_of_gauss_newton(const Problem& problem) {
  std::vector<Tensor> rows;
  for (const auto& z : problem.outputs) rows.push_back(jacobian(z, problem.network.parameters));
  const auto a = torch::cat(rows);
  const auto b = dense_loss_hessian(problem.graph, problem.outputs).mm(a);
  return a.square().sum(0) * b.square().sum(0) + (a * b).sum(0).square() -
         2 * (a.square() * b.square()).sum(0);
}

TEST_P(Diagonals, OfTheFisherMatrixAreUnbiasedWithTheStatedDeviation) {
  constexpr int kDraws = 2000;
  const auto generator = seeded(11);
  const auto [mean, deviation] =
      over_draws([&] { return propagated_fisher_diagonal(problem.graph, 1, generator); }, kDraws);
  const auto expected = diagonal_of(fisher(problem.graph));
  const auto allowed = kDeviations * deviation + kRounding * expected.max();
  EXPECT_TRUE((mean - expected).abs().le(allowed).all().item<bool>());
  // √2 F_jj a draw at most; the deviation itself is known to some 10%.
  EXPECT_TRUE(deviation.le(1.1 * std::sqrt(2. / kDraws) * expected + kRounding).all().item<bool>());
}

TEST_P(Diagonals, OfTheGaussNewtonMatrixAreUnbiased) {
  constexpr int kDraws = 2000;
  const auto generator = seeded(12);
  const auto [mean, deviation] = over_draws(
      [&] { return propagated_gauss_newton_diagonal(problem.graph, 1, generator); }, kDraws);
  const auto expected = diagonal_of(gauss_newton(problem.graph));
  const auto allowed = kDeviations * deviation + kRounding * expected.abs().max();
  EXPECT_TRUE((mean - expected).abs().le(allowed).all().item<bool>());
  const auto stated = stated_variance_of_gauss_newton(problem);
  const auto seen = deviation.square() * kDraws;
  // A variance of 2000 draws is known to some 10%, of skewed ones to less.
  EXPECT_LT(relative_error(seen, stated), 0.1);
}

TEST_P(Diagonals, OfTheEmpiricalFisherMatrixAreExact) {
  for (const auto moment : {Moment::Uncentred, Moment::Centred}) {
    const auto expected = dense(empirical_fisher(problem.graph, moment)).diagonal();
    EXPECT_LT(relative_error(empirical_fisher_diagonal(problem.graph, moment), expected),
              kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, Diagonals,
                         ::testing::Values(loss_named("CrossEntropyMean"),
                                           loss_named("HeadsOfTwoFamilies"),
                                           loss_named("NllGaussianMean")),
                         ByName());

TEST(DiagonalsTest, MoreProbesAreTheMeanOfTheirDraws) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto one = seeded(13);
  const auto a = propagated_fisher_diagonal(problem.graph, 1, one);
  const auto b = propagated_fisher_diagonal(problem.graph, 1, one);
  const auto both = propagated_fisher_diagonal(problem.graph, 2, seeded(13));
  EXPECT_LT(relative_error(both, 0.5 * (a + b)), kRounding);
}

TEST(DiagonalsTest, OfTheUsersOwnLossArePropagatedToo) {
  const auto problem = make_problem(loss_named("OwnErrorOfCubes"));
  const auto expected = diagonal_of(gauss_newton(problem.graph));
  const auto estimate = propagated_gauss_newton_diagonal(problem.graph, 4000, seeded(14));
  EXPECT_LT(relative_error(estimate, expected), 0.1);  // some 1/√4000 a column of J
  expect_error([&] { propagated_fisher_diagonal(problem.graph, 1, seeded(1)); }, "likelihood");
}

TEST(DiagonalsTest, WithoutProbesThrow) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  expect_error([&] { propagated_fisher_diagonal(problem.graph, 0, seeded(1)); }, "at least 1");
  expect_error([&] { propagated_gauss_newton_diagonal(problem.graph, 0, seeded(1)); },
               "at least 1");
}

}  // namespace
}  // namespace natgrad::testing::diagonals_test
