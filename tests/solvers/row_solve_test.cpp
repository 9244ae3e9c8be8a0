#include "solvers/row_solve.h"

#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>

#include "support/row_problems.h"

// Damped least squares by their rows, against QR of all equations at once, in double.

namespace natgrad::testing::row_solve_test {
namespace {

// Of systems of condition 1e4 or less in double.
constexpr double kSolved = 1e-10;
// The Gram matrix squares R's condition: that of the ill-conditioned rows below is 1e10.
constexpr double kSolvedIll = 1e-5;
// What row_solve.cpp allows the factor in float32 to leave wrong.
constexpr double kSolvedFloat = 1e-3;

/// ½‖t - R x‖² + ½σ‖x - x₀‖².
double objective(const RowProblem& of, const Tensor& x) {
  const auto from = of.centre.defined() ? x - of.centre : x;
  const auto missed = of.targets - of.rows.mv(x);
  return (0.5 * missed.dot(missed) + 0.5 * of.shift * from.dot(from)).item<double>();
}

struct Method {
  std::string name;
  std::function<Solution(const LeastSquares&)> solve;
};

void PrintTo(const Method& method, std::ostream* out) { *out << method.name; }

ConjugateGradient tight() { return ConjugateGradient().max_iterations(500).tolerance(1e-13); }

std::vector<Method> methods() {
  return {{"GramMatrix", detail::solve_by_gram_matrix},
          {"RowProducts", [](auto& p) { return detail::solve_by_row_products(p, tight()); }},
          {"Dual", [](auto& p) { return Dual().solve_by_rows(p); }},
          {"DualOrConjugateGradient",
           [](auto& p) { return DualOrConjugateGradient().iterative(tight()).solve_by_rows(p); }},
          {"DualOrConjugateGradientWithoutDual", [](auto& p) {
             return DualOrConjugateGradient().limit(0).iterative(tight()).solve_by_rows(p);
           }}};
}

struct RowSolve : ::testing::TestWithParam<Method> {
  static Solution solve(const RowProblem& of) { return GetParam().solve(of.problem()); }
};

TEST_P(RowSolve, IsTheSolutionForFewRowsAndMany) {
  for (const int64_t rows : {1, 7, 20, 50}) {
    for (const bool centred : {false, true}) {
      for (const double shift : {0.05, 1., 30.}) {
        auto of = random_row_problem(rows, 10 * rows, centred);
        of.shift = shift;
        const auto solution = solve(of);
        EXPECT_LT(relative_error(solution.x, by_qr(of)), kSolved) << rows << " " << shift;
        EXPECT_LT(relative_error(solution.product_in_rows, of.rows.mv(solution.x)), kSolved);
        EXPECT_EQ(solution.summary.termination, Termination::Converged);
      }
    }
  }
}

TEST_P(RowSolve, OfRowsThatAreZeroOrTheSame) {
  auto of = random_row_problem(6, 3);
  of.rows = torch::cat({of.rows, of.rows, torch::zeros_like(of.rows)});
  of.targets = randn({18}, 4);
  EXPECT_LT(relative_error(solve(of).x, by_qr(of)), kSolved);
}

TEST_P(RowSolve, OfIllConditionedRows) {
  auto of = random_row_problem(12, 5);
  const auto [U, S, V] = torch::linalg_svd(of.rows, /*full_matrices=*/false);
  of.rows = (U * torch::logspace(-5, 0, 12, 10, torch::kDouble)).mm(V);
  of.shift = 1e-10;
  // So that they ask for no huge x.
  of.targets = of.rows.mv(randn({kRowSize}, 6));
  EXPECT_LT(relative_error(solve(of).x, by_qr(of)), kSolvedIll);
}

TEST_P(RowSolve, KeepsTheAccuracyOfFloat32) {
  const auto of = random_row_problem(12, 7).in_float();
  const auto solution = solve(of);
  EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
  EXPECT_EQ(solution.product_in_rows.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(solution.x, by_qr(of)), kSolvedFloat);
}

TEST_P(RowSolve, SummaryNumbersAreTheTrueOnes) {
  const auto of = random_row_problem(7, 8);
  const auto [x, summary, snapshots, basis, in_rows] = solve(of);
  const auto missed = of.targets - of.rows.mv(of.centre);
  EXPECT_NEAR(summary.right_hand_side, missed.norm().item<double>(), kSolved);
  EXPECT_LT(summary.residual, kSolved);
  EXPECT_NEAR(summary.quadratic, objective(of, x) - objective(of, of.centre), kSolved);
  EXPECT_GT(summary.iterations, 0);
  EXPECT_GT(summary.products, 0);
}

TEST_P(RowSolve, NumbersThatAreNotFiniteAreReported) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    auto of_rows = random_row_problem(5, 9), of_targets = random_row_problem(5, 9);
    of_rows.rows[1][2] = bad;
    of_targets.targets[3] = bad;
    EXPECT_EQ(solve(of_rows).summary.termination, Termination::NonFinite) << bad;
    EXPECT_EQ(solve(of_targets).summary.termination, Termination::NonFinite) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, RowSolve, ::testing::ValuesIn(methods()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::row_solve_test
