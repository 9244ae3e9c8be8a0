#include "solvers/known_inverse.h"

#include "support/oracles.h"

namespace natgrad::testing::known_inverse_test {
namespace {

// A few operations on numbers of order one in double.
constexpr double kRounding = 1e-14;

Tensor numbers(std::vector<double> values) { return torch::tensor(values, torch::kDouble); }

TEST(SolveDirectlyTest, AnswersTheSolutionAndWhatItIsWorth) {
  const auto d = numbers({2, 4, 8}), b = numbers({1, -2, 4});
  const auto solution = solve_directly({natgrad::diagonal_operator(d), b});
  EXPECT_LT(relative_error(solution.x, b / d), kRounding);
  const auto& summary = solution.summary;
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.products, 1);
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_LT(summary.residual, kRounding);
  EXPECT_NEAR(summary.right_hand_side, std::sqrt(21.), kRounding);
  EXPECT_NEAR(summary.quadratic, -0.5 * (0.5 + 1 + 2), kRounding);
}

TEST(SolveDirectlyTest, ASingularMatrixIsReported) {
  const auto solution =
      solve_directly({natgrad::diagonal_operator(numbers({1, 0})), numbers({1, 1})});
  EXPECT_EQ(solution.summary.termination, Termination::NonFinite);
}

TEST(SolveDirectlyTest, AnIndefiniteMatrixIsReported) {
  const auto solution =
      solve_directly({natgrad::diagonal_operator(numbers({1, -3})), numbers({0.1, 2})});
  EXPECT_EQ(solution.summary.termination, Termination::NegativeCurvature);
}

}  // namespace
}  // namespace natgrad::testing::known_inverse_test
