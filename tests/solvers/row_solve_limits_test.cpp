#include "solvers/row_solve.h"

#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>

#include "support/row_problems.h"

// Damped least squares by rows where targets or conditions are extreme.

namespace natgrad::testing::row_solve_limits_test {
namespace {

// What row_solve.cpp allows the factor in float32 to leave wrong.
constexpr double kSolvedFloat = 1e-3;

// ---- One target a million times the others: these count too. ----

// Of the others' targets, what their outputs may lack: a percent, as of a solve for a step.
constexpr double kOthers = 1e-2;

/// The largest error of R x among the rows whose targets are moderate, in units of these.
double error_of_others(const RowProblem& of, const Solution& solution) {
  const auto exact = of.rows.to(torch::kDouble).mv(by_qr(of));
  const auto error = (solution.product_in_rows.to(torch::kDouble) - exact).abs();
  return error.slice(0, 1).max().item<double>();
}

RowProblem with_outlier(int64_t rows) {
  RowProblem of{randn({rows, kRowSize}, 21), randn({rows}, 22), {}};
  of.shift = of.rows.square().sum(1).mean().item<double>();
  of.targets[0] = 1e6;
  return of;
}

TEST(RowSolveLimitsTest, ATargetAMillionTimesTheOthersLeavesTheseSolved) {
  for (const int64_t rows : {8, 60}) {
    const auto of = with_outlier(rows);
    EXPECT_LT(error_of_others(of, DualOrConjugateGradient().solve_by_rows(of.problem())), kOthers);
    EXPECT_LT(error_of_others(of, Dual().solve_by_rows(of.problem())), kOthers);
    const auto by_products = DualOrConjugateGradient().limit(0);
    EXPECT_LT(error_of_others(of, by_products.solve_by_rows(of.problem())), kOthers) << rows;
  }
}

// ---- Limits. ----

TEST(RowSolveLimitsTest, AShiftBelowTheRoundingBreaksDown) {
  auto of = random_row_problem(3, 11);
  of.rows = torch::cat({of.rows, of.rows});
  of.targets = torch::ones({6}, torch::kDouble);
  of.shift = 1e-200;
  EXPECT_EQ(Dual().solve_by_rows(of.problem()).summary.termination, Termination::Breakdown);
}

TEST(RowSolveLimitsTest, AboveTheConditionOfFloat32TheFactorIsMadeInDouble) {
  // The Gram matrix is exact in float32, and σ is below its rounding.
  const auto identity = torch::eye(kRowSize, torch::kDouble);
  RowProblem of{torch::stack({1024 * identity[0], 1024 * identity[0] + identity[1]}),
                torch::ones({2}, torch::kDouble),
                {}};
  of.shift = 1. / 64;
  EXPECT_LT(relative_error(detail::solve_by_gram_matrix(of.in_float().problem()).x, by_qr(of)),
            kSolvedFloat);
}

TEST(RowSolveLimitsTest, OtherSolversSayWhatToTake) {
  const auto problem = random_row_problem(3, 12).problem();
  EXPECT_FALSE(Cholesky().solves_by_rows(*problem.root));
  expect_error([&] { Cholesky().solve_by_rows(problem); }, "natgrad::Dual()");
  EXPECT_TRUE(Dual().limit(3).solves_by_rows(*problem.root));
  EXPECT_FALSE(Dual().limit(2).solves_by_rows(*problem.root));
  EXPECT_TRUE(DualOrConjugateGradient().limit(0).solves_by_rows(*problem.root));
}

}  // namespace
}  // namespace natgrad::testing::row_solve_limits_test
