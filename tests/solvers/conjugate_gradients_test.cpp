#include <natgrad/solvers/conjugate_gradients.h>

#include "support/krylov.h"
#include "support/linear_problems.h"

// Accuracy against dense solves and against the definition: the minimiser of φ over Krylov
// subspaces.

namespace natgrad::testing::conjugate_gradients_test {
namespace {

constexpr double kTolerance = 1e-10;
// The test's own b - A x is rounded by a few units of 1e-16 ‖A‖‖x‖ too.
constexpr double kOwnRounding = 1e-14;
// Enough for condition number 1e12: rounding delays convergence far beyond the matrix' size.
constexpr int64_t kPlenty = 20000;
// Dense projections on well-conditioned problems, against a recurrence of a few iterations.
constexpr double kProjection = 1e-10;

/// An operator that counts its products.
LinearOperator counted(const Tensor& matrix, int64_t* products) {
  return {"counted", matrix.size(0), matrix.options(), [matrix, products](const Tensor& v) {
            ++*products;
            return matrix.mv(v);
          }};
}

ConjugateGradient tight() {
  return ConjugateGradient().max_iterations(kPlenty).tolerance(kTolerance);
}

/// Exactly k iterations, without a rule that might stop it earlier.
ConjugateGradient iterations(int64_t k) {
  return ConjugateGradient().max_iterations(k).tolerance(0);
}

class ConjugateGradientProblems : public ::testing::TestWithParam<LinearProblem> {
 protected:
  const Tensor a_ = GetParam().matrix;
  const Tensor b_ = GetParam().right_hand_side;
};

// At condition number 1e12 a residual of 1e-10 ‖b‖ leaves the solution open by 100 times its size:
// the residual is what can be promised.
TEST_P(ConjugateGradientProblems, ConvergesToTheToleranceOfTheTrueResidual) {
  const auto [x, summary, snapshots, basis, in_rows] = tight().solve(from_dense(a_), b_);
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LE(residual_norm(a_, b_, x),
            kTolerance * length(b_) + kOwnRounding * length(a_) * length(x));
}

// ‖x - x*‖/‖x*‖ ≤ κ ‖r‖/‖b‖, which says nothing beyond κ = 1e10.
class WellConditionedProblems : public ConjugateGradientProblems {};
TEST_P(WellConditionedProblems, AgreeWithTheDenseSolve) {
  const auto x = tight().solve(from_dense(a_), b_).x;
  EXPECT_LT(relative_error(x, torch::linalg_solve(a_, b_)), 2 * GetParam().condition * kTolerance);
}

TEST_P(ConjugateGradientProblems, RepeatsBitwise) {
  const auto first = tight().solve(from_dense(a_), b_);
  const auto second = tight().solve(from_dense(a_), b_);
  EXPECT_TRUE(identical(first.x, second.x));
  EXPECT_EQ(first.summary.iterations, second.summary.iterations);
  EXPECT_EQ(first.summary.residual, second.summary.residual);
  EXPECT_EQ(first.summary.quadratic, second.summary.quadratic);
}

TEST_P(ConjugateGradientProblems, SummaryNumbersAreTheTrueOnes) {
  int64_t products = 0;
  const auto [x, summary, snapshots, basis, in_rows] = tight().solve(counted(a_, &products), b_);
  EXPECT_EQ(summary.products, products);
  EXPECT_NEAR(summary.right_hand_side, length(b_), kOwnRounding * length(b_));
  EXPECT_NEAR(summary.residual, residual_norm(a_, b_, x), kOwnRounding * length(a_) * length(x));
  const double size = std::abs(x.dot(a_.mv(x)).item<double>()) + 1e-300;
  // φ from the recurrence: its steps are known to the residual's accuracy.
  EXPECT_NEAR(summary.quadratic / size, quadratic(a_, b_, x) / size, kTolerance);
}

TEST_P(ConjugateGradientProblems, LeavesItsInputsAlone) {
  const auto b = b_.clone();
  const auto initial = randn(b_.sizes(), 5);
  const auto kept = initial.clone();
  const auto solution = tight().solve({from_dense(a_), b, initial});
  solution.x.fill_(7);
  EXPECT_TRUE(identical(b, b_));
  EXPECT_TRUE(identical(initial, kept));
}

TEST_P(ConjugateGradientProblems, IntervalsBetweenLooksDoNotChangeTheResult) {
  const auto every =
      ConjugateGradient().tolerance(1e-6).max_iterations(200).solve(from_dense(a_), b_);
  for (const int64_t interval : {1, 4, 7}) {
    const auto solver =
        ConjugateGradient().tolerance(1e-6).max_iterations(200).check_interval(interval);
    const auto other = solver.solve(from_dense(a_), b_);
    EXPECT_TRUE(identical(other.x, every.x)) << relative_error(other.x, every.x);
    EXPECT_EQ(other.summary.termination, every.summary.termination);
    EXPECT_EQ(other.summary.iterations, every.summary.iterations);
  }
}

// float32 reaches a residual of 1e-7 ‖A‖‖x‖, which is below the tolerance up to here.
class Float32Problems : public ConjugateGradientProblems {};
TEST_P(Float32Problems, MeetTheToleranceToo) {
  constexpr double kFloatTolerance = 1e-3, kOwnRoundingFloat = 1e-6;
  const auto solver = ConjugateGradient().max_iterations(2000).tolerance(kFloatTolerance);
  const auto [x, summary, snapshots, basis, in_rows] =
      solver.solve(from_dense(a_.to(torch::kFloat)), b_.to(torch::kFloat));
  EXPECT_EQ(x.scalar_type(), torch::kFloat);
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  const auto wide = x.to(torch::kDouble);
  EXPECT_LE(residual_norm(a_, b_, wide),
            kFloatTolerance * length(b_) + kOwnRoundingFloat * length(a_) * length(wide));
}

INSTANTIATE_TEST_SUITE_P(Problems, ConjugateGradientProblems,
                         ::testing::ValuesIn(linear_problems()), linear_problem_name);
INSTANTIATE_TEST_SUITE_P(Problems, WellConditionedProblems,
                         ::testing::ValuesIn(linear_problems_up_to(1e8)), linear_problem_name);
INSTANTIATE_TEST_SUITE_P(Problems, Float32Problems, ::testing::ValuesIn(linear_problems_up_to(1e3)),
                         linear_problem_name);

TEST(ConjugateGradientTest, IteratesMinimiseTheQuadraticOverKrylovSubspaces) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  for (int64_t k = 1; k <= 8; ++k) {
    const auto [x, summary, snapshots, basis, in_rows] = iterations(k).solve(from_dense(a), b);
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, k)), kProjection) << "k = " << k;
    EXPECT_EQ(summary.iterations, k);
    EXPECT_EQ(summary.products, k);
  }
}

TEST(ConjugateGradientTest, WarmIteratesMinimiseOverTheShiftedKrylovSubspaces) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2), x0 = randn({20}, 3);
  for (int64_t k = 1; k <= 8; ++k) {
    const auto [x, summary, snapshots, basis, in_rows] =
        iterations(k).solve({from_dense(a), b, x0});
    const auto expected = krylov_minimiser(a, b, k, x0, torch::eye(20, torch::kDouble));
    EXPECT_LT(relative_error(x, expected), kProjection) << "k = " << k;
    EXPECT_EQ(summary.products, k + 1);
    EXPECT_NEAR(summary.quadratic, quadratic(a, b, x), kProjection * std::abs(quadratic(a, b, x)));
    EXPECT_NEAR(summary.residual, residual_norm(a, b, x), kProjection * length(b));
  }
}

// In exact arithmetic the k-th polynomial vanishes on k eigenvalues; between 1 and 10 rounding does
// not delay it measurably.
TEST(ConjugateGradientTest, KDistinctEigenvaluesTakeKIterations) {
  for (const int64_t k : {1, 2, 3, 5}) {
    const auto distinct = torch::linspace(1, 10, k, torch::kDouble);
    const auto a = symmetric_with_spectrum(distinct.repeat({8}), 3);
    const auto [x, summary, snapshots, basis, in_rows] =
        tight().solve(from_dense(a), randn({8 * k}, 4));
    EXPECT_EQ(summary.termination, Termination::Converged);
    EXPECT_EQ(summary.iterations, k);
    EXPECT_EQ(summary.products, k + 1);
  }
}

TEST(ConjugateGradientTest, ALowRankMatrixPlusAShiftTakesOneIterationMoreThanItsRank) {
  const auto a = low_rank_plus_shift(40, 5, 0.5, 6);
  const auto summary = tight().solve(from_dense(a), randn({40}, 7)).summary;
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 6);
}

// φ falls, the distance to the solution in the energy norm falls, ‖x‖ grows from x₀ = 0 (Steihaug
// 1983).
TEST(ConjugateGradientTest, ProgressIsMonotoneInEveryIteration) {
  constexpr double kSlack = 1e-12;  // rounding in the test's own φ, relative to |φ(x*)|
  const auto a = random_spd(30, 1e4, 8);
  const auto b = randn({30}, 9);
  const auto exact = torch::linalg_solve(a, b);
  const double scale = std::abs(quadratic(a, b, exact));
  double phi = 0, energy = 2 * scale, longest = 0;
  for (int64_t k = 1; k <= 30; ++k) {
    const auto x = iterations(k).solve(from_dense(a), b).x;
    const auto error = x - exact;
    EXPECT_LT(quadratic(a, b, x), phi + kSlack * scale) << "k = " << k;
    EXPECT_LT(error.dot(a.mv(error)).item<double>(), energy + kSlack * scale) << "k = " << k;
    EXPECT_GT(length(x), longest) << "k = " << k;
    EXPECT_GT(b.dot(x).item<double>(), 0) << "k = " << k;
    phi = quadratic(a, b, x);
    energy = error.dot(a.mv(error)).item<double>();
    longest = length(x);
  }
}

TEST(ConjugateGradientTest, StartingAtTheSolutionTakesNoIteration) {
  const auto a = random_spd(10, 10, 1);
  const auto x0 = randn({10}, 2);
  const auto [x, summary, snapshots, basis, in_rows] = tight().solve({from_dense(a), a.mv(x0), x0});
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_LE(summary.products, 2);
  EXPECT_LT(relative_error(x, x0), kOwnRounding);
}

TEST(ConjugateGradientTest, StartingAtZeroIsStartingFromNothing) {
  const auto a = random_spd(10, 10, 1);
  const auto b = randn({10}, 2);
  const auto from_zero = tight().solve({from_dense(a), b, torch::zeros_like(b)});
  EXPECT_TRUE(identical(from_zero.x, tight().solve(from_dense(a), b).x));
}

TEST(ConjugateGradientTest, AZeroRightHandSideTakesNoProduct) {
  const auto [x, summary, snapshots, basis, in_rows] =
      tight().solve(from_dense(random_spd(5, 10, 1)), torch::zeros({5}, torch::kDouble));
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 0);
  EXPECT_EQ(summary.products, 0);
  EXPECT_EQ(length(x), 0);
  EXPECT_EQ(summary.residual, 0);
  EXPECT_EQ(summary.quadratic, 0);
}

// The residual rule is then b = 0 itself: only x = 0 meets it, and it is known without a product.
TEST(ConjugateGradientTest, AZeroRightHandSideFromAnotherStartEndsAtZero) {
  const auto a = random_spd(5, 10, 1);
  const auto [x, summary, snapshots, basis, in_rows] =
      tight().solve({from_dense(a), torch::zeros({5}, torch::kDouble), randn({5}, 2)});
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LT(length(x), 1e-12);
}

TEST(ConjugateGradientTest, SettingsOutOfRangeThrow) {
  const auto solve = [](const ConjugateGradient& solver) {
    solver.solve(from_dense(torch::eye(2, torch::kDouble)), torch::ones({2}, torch::kDouble));
  };
  const double nan = std::nan("");
  for (const int64_t bad : {0, -1}) {
    expect_error([&] { solve(ConjugateGradient().max_iterations(bad)); }, "max_iterations");
  }
  for (const double bad : {-1e-9, 1.0, nan, HUGE_VAL}) {
    expect_error([&] { solve(ConjugateGradient().tolerance(bad)); }, "tolerance");
  }
  for (const double bad : {-1e-9, nan, HUGE_VAL}) {
    expect_error([&] { solve(ConjugateGradient().relative_progress(bad)); }, "relative_progress");
  }
  expect_error([&] { solve(ConjugateGradient().check_interval(-1)); }, "check_interval");
}

TEST(ConjugateGradientTest, VectorsThatDoNotFitThrow) {
  const auto a = from_dense(torch::eye(3, torch::kDouble));
  const auto b = torch::ones({3}, torch::kDouble);
  const ConjugateGradient solver;
  expect_error([&] { solver.solve(a, torch::ones({4}, torch::kDouble)); }, "right-hand side");
  expect_error([&] { solver.solve(a, torch::ones({3, 1}, torch::kDouble)); }, "right-hand side");
  expect_error([&] { solver.solve(a, b.to(torch::kFloat)); }, "float");
  expect_error([&] { solver.solve({a, b, torch::ones({2}, torch::kDouble)}); }, "initial");
  expect_error([&] { solver.solve({a, b, b.to(torch::kFloat)}); }, "float");
}

TEST(ConjugateGradientTest, TextTellsEverySettingApartAndCloneKeepsThem) {
  const auto text = ConjugateGradient().describe();
  EXPECT_EQ(text, ConjugateGradient().describe());
  EXPECT_NE(text, ConjugateGradient().max_iterations(101).describe());
  EXPECT_NE(text, ConjugateGradient().tolerance(std::nextafter(1e-6, 1.0)).describe());
  EXPECT_NE(text, ConjugateGradient().relative_progress(5e-4).describe());
  EXPECT_NE(text, ConjugateGradient().check_interval(1).describe());
  EXPECT_EQ(iterations(3).clone()->describe(), iterations(3).describe());
}

TEST(ConjugateGradientTest, SolvesWithoutBuildingAGraph) {
  const auto b = randn({3}, 1).requires_grad_();
  EXPECT_FALSE(tight().solve(from_dense(torch::eye(3, torch::kDouble)), b).x.requires_grad());
}

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_test
