#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/direct.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>
#include "linalg/norm.h"

#include "support/oracles.h"

// The solvers by a known root, on operators made of explicit rows R.

namespace natgrad::testing::dual_test {
namespace {

namespace F = torch::nn::functional;

// Solutions in double of systems of condition 1e4 or less.
constexpr double kSolved = 1e-10;
// Float32's rounding times the condition number below, 1e3.
constexpr double kSolvedFloat = 1e-3;
constexpr int64_t kRows = 6, kSize = 20;

struct Calls {
  int64_t products = 0, grams = 0;
};

/// RᵀR that knows its root, and counts what it is asked for.
LinearOperator from_rows(const Tensor& rows, Calls* calls = nullptr, RootCosts costs = {}) {
  Root root;
  root.rows = rows.size(0);
  root.multiply = [rows](const Tensor& v) { return rows.mv(v); };
  root.multiply_transposed = [rows](const Tensor& u) { return rows.t().mv(u); };
  root.gram = [rows, calls] {
    if (calls) ++calls->grams;
    return rows.to(torch::kDouble).mm(rows.to(torch::kDouble).t());
  };
  if (costs.product > 0) root.costs = [costs] { return costs; };
  const LinearOperator matrix("RtR", rows.size(1), rows.options(), [rows, calls](const Tensor& v) {
    if (calls) ++calls->products;
    return rows.t().mv(rows.mv(v));
  });
  return matrix.with_root(std::move(root));
}

Tensor explicit_matrix(const Tensor& rows, double scale, double shift) {
  return scale * rows.t().mm(rows) + shift * torch::eye(rows.size(1), rows.options());
}

struct DualTest : ::testing::Test {
  Tensor rows = randn({kRows, kSize}, 1), b = randn({kSize}, 2);
};

TEST_F(DualTest, IsTheSolutionForEveryScaleAndShift) {
  for (const double scale : {1.0, 0.1, 30.0}) {
    for (const double shift : {1.0, 0.05, 20.0}) {
      const auto A = scale * from_rows(rows) + shift;
      const auto expected = torch::linalg_solve(explicit_matrix(rows, scale, shift), b);
      const auto [x, summary, snapshots, basis, in_rows] = Dual().solve(A, b);
      EXPECT_LT(relative_error(x, expected), kSolved) << scale << " " << shift;
      EXPECT_EQ(summary.termination, Termination::Converged);
    }
  }
}

TEST_F(DualTest, OfMoreRowsThanParametersToo) {
  const auto many = randn({3 * kSize, kSize}, 3);
  const auto expected = torch::linalg_solve(explicit_matrix(many, 1, 0.5), b);
  EXPECT_LT(relative_error(Dual().solve(from_rows(many) + 0.5, b).x, expected), kSolved);
}

TEST_F(DualTest, OfRowsThatAreZeroOrTheSame) {
  const auto repeated = torch::cat({rows, rows, torch::zeros_like(rows)});
  const auto expected = torch::linalg_solve(explicit_matrix(repeated, 1, 0.1), b);
  EXPECT_LT(relative_error(Dual().solve(from_rows(repeated) + 0.1, b).x, expected), kSolved);
}

TEST_F(DualTest, SummaryNumbersAreTheTrueOnes) {
  Calls calls;
  const auto solution = Dual().solve(from_rows(rows, &calls) + 0.5, b);
  const auto A = explicit_matrix(rows, 1, 0.5);
  const auto& summary = solution.summary;
  EXPECT_LT(summary.residual, 1e-12);
  EXPECT_NEAR(summary.right_hand_side, b.norm().item<double>(), 1e-12);
  const auto quadratic = 0.5 * solution.x.dot(A.mv(solution.x)) - b.dot(solution.x);
  EXPECT_NEAR(summary.quadratic, quadratic.item<double>(), 1e-12);
  EXPECT_EQ(summary.iterations, 1);
  EXPECT_EQ(summary.products, 2);  // one of the residual, one of R with its transpose
  EXPECT_EQ(calls.products, 1);
  EXPECT_EQ(calls.grams, 1);
}

struct DualFloat32Test : DualTest {
  // ‖A‖/λ = 4e5: the division by λ leaves a residual of some percent of ‖b‖.
  static constexpr double kSmall = 1e-4;
  Tensor narrow = rows.to(torch::kFloat), right = b.to(torch::kFloat);
};

TEST_F(DualFloat32Test, KeepsTheAccuracyOfFloat32) {
  const auto expected = torch::linalg_solve(explicit_matrix(rows, 1, 0.05), b);
  const auto solution = Dual().solve(from_rows(narrow) + 0.05, right);
  EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(solution.x, expected), kSolvedFloat);
}

TEST_F(DualFloat32Test, RefinementLowersTheResidual) {
  // b as a gradient is, in the span of the rows: x is then no larger than float32 can resolve.
  const auto A = from_rows(narrow) + kSmall;
  const auto gradient = narrow.t().mv(torch::ones({kRows}));
  const auto plain = Dual().refinements(0).solve(A, gradient).summary;
  const auto refined = Dual().refinements(3).solve(A, gradient).summary;
  ASSERT_GT(plain.residual, 1e-4 * plain.right_hand_side);
  EXPECT_EQ(plain.termination, Termination::IterationLimit);
  EXPECT_LT(refined.residual, 0.5 * plain.residual);
  EXPECT_GE(refined.iterations, 2);
  EXPECT_EQ(refined.products, 2 * refined.iterations);
}

TEST_F(DualFloat32Test, ItsResidualIsThatOfTheXReturned) {
  const auto solution = Dual().refinements(0).solve(from_rows(narrow) + 0.05, right);
  const auto residual = b - explicit_matrix(rows, 1, 0.05).mv(solution.x.to(torch::kDouble));
  // The product for the residual has float32's own rounding.
  EXPECT_NEAR(solution.summary.residual, residual.norm().item<double>(),
              1e-4 * b.norm().item<double>());
}

TEST_F(DualTest, OfAZeroRightHandSideNeedsNothing) {
  Calls calls;
  const auto solution = Dual().solve(from_rows(rows, &calls) + 1, torch::zeros_like(b));
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_EQ(solution.x.norm().item<double>(), 0);
  EXPECT_EQ(calls.grams + calls.products, 0);
}

TEST_F(DualTest, NumbersThatAreNotFiniteAreReported) {
  const auto nan = std::nan("");
  rows[1][2] = nan;
  EXPECT_EQ(Dual().solve(from_rows(rows) + 1, b).summary.termination, Termination::NonFinite);
  b[0] = nan;
  EXPECT_EQ(Dual().solve(from_rows(randn({2, kSize}, 4)) + 1, b).summary.termination,
            Termination::NonFinite);
}

TEST_F(DualTest, ADampingBelowTheRoundingIsReported) {
  const auto repeated = torch::cat({rows, rows, rows});
  const auto solution = Dual().solve(from_rows(repeated) + 1e-200, b);
  EXPECT_NE(solution.summary.termination, Termination::Converged);
}

TEST_F(DualTest, WhatItCannotSolveIsRefused) {
  const auto A = from_rows(rows);
  expect_error([&] { Dual().solve(A, b); }, "lambda");
  expect_error([&] { Dual().solve(A + -0.5, b); }, "lambda");
  expect_error([&] { Dual().solve(from_dense(explicit_matrix(rows, 1, 1)), b); }, "Fisher()");
  expect_error([&] { Dual().solve((A + 1) + natgrad::diagonal_operator(b.square()), b); },
               "Fisher()");
  expect_error([&] { Dual().solve(-1 * A + 1, b); }, "Fisher()");
  expect_error([&] { Dual().limit(kRows - 1).solve(A + 1, b); }, "natgrad::Dual().limit(6)");
  expect_error([&] { Dual().solve(A + 1, randn({kSize + 1}, 5)); }, "right-hand side");
}

TEST_F(DualTest, SettingsOutOfRangeAreRefused) {
  expect_error([] { Dual().limit(0).clone(); }, "limit");
  expect_error([] { Dual().tolerance(0).clone(); }, "tolerance");
  expect_error([] { Dual().tolerance(1).clone(); }, "tolerance");
  expect_error([] { Dual().refinements(-1).clone(); }, "refinements");
  expect_error([] { Direct().limit(0).clone(); }, "limit");
  expect_error([] { DualOrConjugateGradient().limit(-1).clone(); }, "limit");
  const auto broken = ConjugateGradient().max_iterations(0);
  expect_error([&] { DualOrConjugateGradient().iterative(broken).clone(); }, "max_iterations");
}

// ---- Direct: the dual for few rows, else Cholesky. ----

TEST_F(DualTest, DirectTakesTheMethodOfFewerUnknowns) {
  Calls few_calls, many_calls;
  const auto few = Direct().solve(from_rows(rows, &few_calls) + 0.5, b);
  EXPECT_EQ(few_calls.grams, 1);
  EXPECT_LT(relative_error(few.x, torch::linalg_solve(explicit_matrix(rows, 1, 0.5), b)), kSolved);
  const auto many_rows = randn({kSize, kSize}, 6);
  const auto many = Direct().solve(from_rows(many_rows, &many_calls) + 0.5, b);
  EXPECT_EQ(many_calls.grams, 0);
  EXPECT_EQ(many_calls.products, kSize);
  const auto expected = torch::linalg_solve(explicit_matrix(many_rows, 1, 0.5), b);
  EXPECT_LT(relative_error(many.x, expected), kSolved);
}

TEST_F(DualTest, DirectWithoutARootOrDampingIsCholesky) {
  const auto matrix = random_spd(kSize, 100, 7);
  const auto expected = torch::linalg_solve(matrix, b);
  EXPECT_LT(relative_error(Direct().solve(from_dense(matrix), b).x, expected), kSolved);
  EXPECT_EQ(Direct().solve(from_rows(rows), b).summary.termination,
            Cholesky().solve(from_rows(rows), b).summary.termination);
  expect_error([&] { Direct().limit(kSize - 1).solve(from_dense(matrix), b); }, "limit");
  expect_error([&] { Direct().limit(kRows - 1).solve(from_rows(rows) + 1, b); }, "limit");
}

// ---- The choice between the dual and conjugate gradients. ----

TEST_F(DualTest, TheChoiceFollowsTheCosts) {
  const DualOrConjugateGradient solver;
  const RootCosts cheap{1e6, 1e6}, dear{1e6, 1e8};
  EXPECT_TRUE(solver.takes_dual(from_rows(rows, nullptr, cheap) + 1));
  EXPECT_FALSE(solver.takes_dual(from_rows(rows, nullptr, dear) + 1));
  // More iterations are worth a dearer Gram matrix.
  const auto patient = DualOrConjugateGradient().iterative(ConjugateGradient().max_iterations(500));
  EXPECT_TRUE(patient.takes_dual(from_rows(rows, nullptr, dear) + 1));
  // Without estimates they are those of the explicit rows.
  EXPECT_TRUE(patient.takes_dual(from_rows(rows) + 1));
  EXPECT_FALSE(solver.takes_dual(from_rows(randn({300, kSize}, 8)) + 1));
}

TEST_F(DualTest, TheChoiceNeedsARootADampingAndFewRows) {
  const DualOrConjugateGradient solver;
  EXPECT_FALSE(solver.takes_dual(from_rows(rows)));
  EXPECT_FALSE(solver.takes_dual(from_dense(explicit_matrix(rows, 1, 1)) + 1));
  EXPECT_FALSE(DualOrConjugateGradient().limit(kRows - 1).takes_dual(from_rows(rows) + 1));
  EXPECT_FALSE(DualOrConjugateGradient().limit(0).takes_dual(from_rows(rows) + 1));
}

TEST_F(DualTest, TheChosenSolverSolves) {
  const auto cg = ConjugateGradient().max_iterations(7).tolerance(0);
  const auto solver = DualOrConjugateGradient().iterative(cg);
  const auto A = from_rows(rows, nullptr, {1e6, 1e6}) + 0.5;
  EXPECT_TRUE(identical(solver.solve(A, b).x, Dual().solve(A, b).x));
  const LinearSystem started{from_dense(explicit_matrix(rows, 1, 0.5)), b, randn({kSize}, 9)};
  EXPECT_TRUE(identical(solver.solve(started).x, cg.solve(started).x));
  EXPECT_TRUE(solver.uses_initial());
  EXPECT_TRUE(solver.uses_preconditioner());
  EXPECT_NE(solver.describe(), DualOrConjugateGradient().describe());
  EXPECT_EQ(solver.clone()->describe(), solver.describe());
}

struct ChoiceForNetworks : ::testing::Test {
  /// Whether a softmax classifier's step on so many examples is solved by the dual.
  static bool takes_dual(int64_t examples, int64_t hidden, int64_t classes) {
    torch::nn::Sequential model(torch::nn::Linear(8, hidden), torch::nn::Tanh(),
                                torch::nn::Linear(hidden, classes));
    const auto z = model->forward(torch::ones({examples, 8}));
    const auto y = torch::zeros({examples}, torch::kLong);
    const LossGraph graph(F::cross_entropy(z, y), model->parameters());
    return DualOrConjugateGradient().takes_dual(fisher(graph) + 1);
  }
};

TEST_F(ChoiceForNetworks, IsTheDualForSmallBatchesOnly) {
  EXPECT_TRUE(takes_dual(4, 32, 4));
  EXPECT_FALSE(takes_dual(200, 32, 10));
}

// A table that is computed takes a backward pass for each row of R.
TEST_F(ChoiceForNetworks, CountsThePassesOfParametersOutsideOfLayers) {
  const auto choice = [](bool covered) {
    const auto table = randn({20, 6}, 1).requires_grad_(!covered);
    const auto w = randn({3, 6}, 2).requires_grad_();
    const auto z = torch::linear(torch::embedding(table.tanh(), torch::arange(20)), w);
    const LossGraph graph(F::cross_entropy(z, torch::zeros({20}, torch::kLong)),
                          covered ? std::vector<Tensor>{w} : std::vector<Tensor>{table, w});
    return DualOrConjugateGradient().takes_dual(fisher(graph) + 1);
  };
  EXPECT_TRUE(choice(true));
  EXPECT_FALSE(choice(false));
}

}  // namespace
}  // namespace natgrad::testing::dual_test
