#include <natgrad/solvers/cholesky.h>

#include <algorithm>

#include "support/krylov.h"
#include "support/linear_problems.h"

namespace natgrad::testing::cholesky_test {
namespace {

// A backward stable solve: ‖b - A x‖ is a few roundings of ‖A‖‖x‖, in the solve and in the test.
constexpr double kBackward = 1e-14;
// ‖x - x*‖/‖x*‖ is that times the condition number, in both solves.
constexpr double kForward = 1e-14;
// Products, right-hand side and solution in float32.
constexpr double kFloat = 1e-6;

struct Widths {
  int64_t columns = 0, widest = 0;
};

/// An operator that tells how many columns it multiplied, and the most at once.
LinearOperator watched(const Tensor& matrix, Widths* widths) {
  const auto multiply = [matrix, widths](const Tensor& v) {
    const int64_t columns = v.dim() == 1 ? 1 : v.size(1);
    widths->columns += columns;
    widths->widest = std::max(widths->widest, columns);
    return matrix.matmul(v);
  };
  return {"watched", matrix.size(0), matrix.options(), multiply, Columns::Together};
}

class CholeskyProblems : public ::testing::TestWithParam<LinearProblem> {
 protected:
  const Tensor a_ = GetParam().matrix;
  const Tensor b_ = GetParam().right_hand_side;
};

TEST_P(CholeskyProblems, SolvesToTheRoundingOfTheResidual) {
  const auto [x, summary, snapshots, basis, in_rows] = Cholesky().solve(from_dense(a_), b_);
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LE(residual_norm(a_, b_, x), kBackward * length(a_) * length(x));
  EXPECT_LE(relative_error(x, torch::linalg_solve(a_, b_)),
            kForward * GetParam().condition * static_cast<double>(b_.numel()));
}

TEST_P(CholeskyProblems, SummaryNumbersAreTheTrueOnes) {
  const auto [x, summary, snapshots, basis, in_rows] = Cholesky().solve(from_dense(a_), b_);
  const double rounding = kBackward * length(a_) * length(x);
  EXPECT_NEAR(summary.residual, residual_norm(a_, b_, x), rounding);
  EXPECT_NEAR(summary.right_hand_side, length(b_), kBackward * length(b_));
  EXPECT_NEAR(summary.quadratic, quadratic(a_, b_, x), rounding * length(x));
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_EQ(summary.products, length(b_) > 0 ? b_.numel() : 0);
}

class CholeskyFloat32Problems : public CholeskyProblems {};
TEST_P(CholeskyFloat32Problems, KeepTheAccuracyOfFloat32) {
  const auto [x, summary, snapshots, basis, in_rows] =
      Cholesky().solve(from_dense(a_.to(torch::kFloat)), b_.to(torch::kFloat));
  EXPECT_EQ(x.scalar_type(), torch::kFloat);
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LE(relative_error(x, torch::linalg_solve(a_, b_)), kFloat * GetParam().condition);
}

INSTANTIATE_TEST_SUITE_P(Problems, CholeskyProblems, ::testing::ValuesIn(linear_problems()),
                         linear_problem_name);
INSTANTIATE_TEST_SUITE_P(Problems, CholeskyFloat32Problems,
                         ::testing::ValuesIn(linear_problems_up_to(1e4)), linear_problem_name);

// The factorisation in double: a condition number of 1e10 is beyond float32's own arithmetic.
TEST(CholeskyTest, FactorsInDoubleWhatIsGivenInFloat32) {
  const auto a = torch::diag(geometric_spectrum(20, 1e10)).to(torch::kFloat);
  const auto x = randn({20}, 1).to(torch::kFloat);
  const auto solution = Cholesky().solve(from_dense(a), a.mv(x));
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_LT(relative_error(solution.x, x), kFloat);
}

TEST(CholeskyTest, FormsTheMatrixInBlocksOfColumns) {
  const auto a = random_spd(300, 10, 1);
  const auto b = randn({300}, 2);
  Widths widths;
  const auto [x, summary, snapshots, basis, in_rows] = Cholesky().solve(watched(a, &widths), b);
  EXPECT_EQ(widths.columns, 300);
  EXPECT_EQ(summary.products, 300);
  EXPECT_EQ(widths.widest, 256);
  EXPECT_LT(relative_error(x, torch::linalg_solve(a, b)), 300 * 10 * kForward);
}

void expect_no_solution(const Solution& solution, const Tensor& b, Termination termination) {
  const auto& summary = solution.summary;
  EXPECT_EQ(summary.termination, termination) << to_string(summary.termination);
  EXPECT_EQ(length(solution.x), 0);
  EXPECT_NEAR(summary.residual, length(b), kBackward * length(b));
  EXPECT_NEAR(summary.right_hand_side, length(b), kBackward * length(b));
  EXPECT_EQ(summary.quadratic, 0);
  EXPECT_EQ(summary.products, b.numel());
}

TEST(CholeskyTest, AnIndefiniteMatrixIsNegativeCurvature) {
  const auto b = randn({6}, 1);
  for (const double least : {-1.0, -1e-6, -1e-12}) {
    const auto spectrum = torch::tensor({least, 0.1, 0.5, 1.0, 2.0, 3.0}, torch::kDouble);
    const auto a = symmetric_with_spectrum(spectrum, 2);
    expect_no_solution(Cholesky().solve(from_dense(a), b), b, Termination::NegativeCurvature);
  }
  const auto zero = torch::zeros({6, 6}, torch::kDouble);
  expect_no_solution(Cholesky().solve(from_dense(zero), b), b, Termination::NegativeCurvature);
  const auto one = torch::full({1, 1}, -2.0, torch::kDouble);
  const auto b1 = torch::ones({1}, torch::kDouble);
  expect_no_solution(Cholesky().solve(from_dense(one), b1), b1, Termination::NegativeCurvature);
}

// Whether pivots of rounding let the factorisation pass, with an x of 1e15, is chance: so which of
// the two it is.
TEST(CholeskyTest, AnInconsistentSingularSystemHasNoSolution) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto u = randn({8, 5}, seed);
    const auto b = randn({8}, seed + 100);
    const auto [x, summary, snapshots, basis, in_rows] =
        Cholesky().solve(from_dense(u.mm(u.t())), b);
    EXPECT_TRUE(summary.termination == Termination::Breakdown ||
                summary.termination == Termination::NegativeCurvature)
        << to_string(summary.termination);
    EXPECT_EQ(length(x), 0);
  }
}

// The least eigenvalue, 1e-13, is far above what the factorisation rounds (8 times 1e-16 times the
// largest), so that it passes on any machine; and x is so long, 1e13, that its own rounding alone
// leaves a residual of 1e-3.
TEST(CholeskyTest, ASystemThatNoSolutionInDoubleMeetsIsABreakdown) {
  const auto spectrum = torch::tensor({1e-13, 0.1, 0.2, 0.5, 0.7, 1.0, 2.0, 3.0}, torch::kDouble);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto b = randn({8}, seed + 100);
    const auto a = symmetric_with_spectrum(spectrum, seed);
    expect_no_solution(Cholesky().solve(from_dense(a), b), b, Termination::Breakdown);
  }
}

TEST(CholeskyTest, WhatIsNotFiniteIsSaidToBe) {
  const auto a = random_spd(5, 10, 1);
  const auto b = randn({5}, 2);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto spoiled = a.clone();
    spoiled[3][1] = bad;
    expect_no_solution(Cholesky().solve(from_dense(spoiled), b), b, Termination::NonFinite);
    auto spoiled_b = b.clone();
    spoiled_b[2] = bad;
    const auto [x, summary, snapshots, basis, in_rows] = Cholesky().solve(from_dense(a), spoiled_b);
    EXPECT_EQ(summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(x), 0);
  }
}

// A is linear in neither start nor preconditioner: a direct solve has no use for them.
TEST(CholeskyTest, StartAndPreconditionerDoNotMatter) {
  const auto a = random_spd(5, 10, 1);
  const auto b = randn({5}, 2), start = randn({5}, 3);
  const auto plain = Cholesky().solve(from_dense(a), b);
  const auto other = Cholesky().solve({from_dense(a), b, start, from_dense(random_spd(5, 10, 4))});
  EXPECT_TRUE(identical(other.x, plain.x));
}

TEST(CholeskyTest, AMatrixAboveTheLimitIsRefusedWithTheWayOut) {
  const auto a = natgrad::diagonal_operator(torch::ones({5}, torch::kDouble));
  const auto b = torch::ones({5}, torch::kDouble);
  expect_error([&] { Cholesky().limit(4).solve(a, b); }, "natgrad::ConjugateGradient()");
  expect_error([&] { Cholesky().limit(4).solve(a, b); }, "Cholesky().limit(5)");
  EXPECT_TRUE(identical(Cholesky().limit(5).solve(a, b).x, b));
  const auto large = natgrad::diagonal_operator(torch::ones({4097}));
  expect_error([&] { Cholesky().solve(large, torch::ones({4097})); }, "4096");
}

TEST(CholeskyTest, BadArgumentsThrow) {
  const auto a = from_dense(torch::eye(3, torch::kDouble));
  const auto b = torch::ones({3}, torch::kDouble);
  expect_error([&] { Cholesky().limit(0).solve(a, b); }, "limit");
  expect_error([&] { Cholesky().limit(-1).clone(); }, "limit");
  expect_error([&] { Cholesky().solve(a, torch::ones({4}, torch::kDouble)); }, "right-hand side");
  expect_error([&] { Cholesky().solve({a, b, torch::ones({2}, torch::kDouble)}); }, "initial");
}

TEST(CholeskyTest, TextTellsSettingsApartAndCloneKeepsThem) {
  EXPECT_NE(Cholesky().describe(), Cholesky().limit(7).describe());
  EXPECT_EQ(Cholesky().limit(7).clone()->describe(), Cholesky().limit(7).describe());
}

TEST(CholeskyTest, SolvesWithoutBuildingAGraph) {
  const auto b = randn({3}, 1).requires_grad_();
  EXPECT_FALSE(Cholesky().solve(from_dense(torch::eye(3, torch::kDouble)), b).x.requires_grad());
}

// ---- By rows. ----

// Normal equations of condition 1e4 or less.
constexpr double kSolvedByRows = 1e-10;
// What the factor may leave wrong where RᵀR was formed in float32.
constexpr double kSolvedByRowsInFloat = 1e-3;

LeastSquares problem_of(const Tensor& R, const Tensor& t, double shift, const Tensor& centre = {}) {
  return {std::make_shared<Root>(explicit_root(R)),  R.size(1), t, shift, centre,
          centre.defined() ? R.mv(centre) : Tensor()};
}

/// The equations R x = t and √σ x = √σ x₀ in one, by LAPACK's gelsd.
Tensor by_all_equations(const LeastSquares& problem) {
  const auto R = problem.root->matrix().to(torch::kDouble), t = problem.targets.to(torch::kDouble);
  const auto identity = torch::eye(R.size(1), torch::kDouble);
  const auto x0 = problem.centre.defined() ? problem.centre.to(torch::kDouble) : 0 * identity[0];
  const double root = std::sqrt(problem.shift);
  const auto right = torch::cat({t, root * x0}).unsqueeze(1);
  return std::get<0>(torch::linalg_lstsq(torch::cat({R, root * identity}), right, 1e-16, "gelsd"))
      .squeeze(1);
}

TEST(CholeskyByRowsTest, IsTheSolutionOfAllEquations) {
  // Fewer rows than columns, as many, and more; 300 columns are several bands of RᵀR.
  for (const auto& [rows, columns] : {std::pair{5, 12}, {12, 12}, {40, 12}, {500, 300}}) {
    for (const bool centred : {false, true}) {
      const auto centre = centred ? randn({columns}, 3) : Tensor();
      const auto problem = problem_of(randn({rows, columns}, 1), randn({rows}, 2), 0.3, centre);
      ASSERT_TRUE(Cholesky().solves_by_rows(*problem.root));
      const auto solution = Cholesky().solve_by_rows(problem);
      EXPECT_EQ(solution.summary.termination, Termination::Converged);
      EXPECT_LT(relative_error(solution.x, by_all_equations(problem)), kSolvedByRows) << rows;
      const auto product = problem.root->multiply(solution.x);
      EXPECT_LT(relative_error(solution.product_in_rows, product), kSolvedByRows);
    }
  }
}

TEST(CholeskyByRowsTest, SummaryNumbersAreTheTrueOnes) {
  const auto R = randn({40, 12}, 1), t = randn({40}, 2), centre = randn({12}, 3);
  const auto problem = problem_of(R, t, 0.3, centre);
  const auto solution = Cholesky().solve_by_rows(problem);
  const auto objective = [&](const Tensor& x) {
    return (0.5 * (t - R.mv(x)).square().sum() + 0.15 * (x - centre).square().sum()).item<double>();
  };
  const auto& summary = solution.summary;
  EXPECT_NEAR(summary.quadratic, objective(solution.x) - objective(centre), kSolvedByRows);
  EXPECT_NEAR(summary.right_hand_side, length(R.t().mv(t - R.mv(centre))), kSolvedByRows);
  EXPECT_LT(summary.residual, kSolvedByRows);
}

TEST(CholeskyByRowsTest, KeepsTheAccuracyOfFloat32) {
  for (const double shift : {0.3, 1e-4}) {  // below, and above the condition of float32
    const auto R = randn({40, 12}, 1).to(torch::kFloat), t = randn({40}, 2).to(torch::kFloat);
    const auto problem = problem_of(R, t, shift);
    const auto solution = Cholesky().solve_by_rows(problem);
    EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
    EXPECT_LT(relative_error(solution.x, by_all_equations(problem)), kSolvedByRowsInFloat);
  }
}

TEST(CholeskyByRowsTest, WhatIsNotFiniteOrSingularIsReported) {
  auto R = torch::ones({9, 2}, torch::kDouble);  // RᵀR is exact, and σ below its rounding
  const auto t = randn({9}, 2);
  const auto singular = Cholesky().solve_by_rows(problem_of(R, t, 1e-30));
  EXPECT_EQ(singular.summary.termination, Termination::Breakdown);
  EXPECT_EQ(length(singular.x), 0);
  R[1][1] = std::nan("");
  EXPECT_EQ(Cholesky().solve_by_rows(problem_of(R, t, 1)).summary.termination,
            Termination::NonFinite);
}

TEST(CholeskyByRowsTest, TheLimitIsOfTheSmallerSide) {
  const auto of = [](int64_t rows, int64_t columns) {
    return explicit_root(torch::ones({rows, columns}, torch::kDouble));
  };
  const auto solver = Cholesky().limit(4);
  EXPECT_TRUE(solver.solves_by_rows(of(9, 4)));
  EXPECT_TRUE(solver.solves_by_rows(of(4, 9)));
  EXPECT_FALSE(solver.solves_by_rows(of(5, 5)));
}

}  // namespace
}  // namespace natgrad::testing::cholesky_test
