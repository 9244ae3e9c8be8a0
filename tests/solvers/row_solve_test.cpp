#include "solvers/row_solve.h"

#include <natgrad/solvers/cholesky.h>
#include <natgrad/solvers/dual.h>
#include <natgrad/solvers/dual_or_conjugate_gradient.h>

#include "support/oracles.h"

// Damped least squares by their rows, against QR of all equations at once, in double.

namespace natgrad::testing::row_solve_test {
namespace {

// Of systems of condition 1e4 or less in double.
constexpr double kSolved = 1e-10;
// The Gram matrix squares R's condition: that of the ill-conditioned rows below is 1e10.
constexpr double kSolvedIll = 1e-5;
// What row_solve.cpp allows the factor in float32 to leave wrong.
constexpr double kSolvedFloat = 1e-3;
constexpr int64_t kSize = 20;

/// R, t, x₀, σ.
struct Case {
  Tensor rows, targets, centre;
  double shift = 0.5;

  LeastSquares problem() const {
    Root root;
    root.rows = rows.size(0);
    root.multiply = [R = rows](const Tensor& v) { return R.mv(v); };
    root.multiply_transposed = [R = rows](const Tensor& u) { return R.t().mv(u); };
    root.gram = [R = rows] { return R.mm(R.t()); };
    return {std::make_shared<Root>(root),
            rows.size(1),
            targets,
            shift,
            centre,
            centre.defined() ? rows.mv(centre) : Tensor()};
  }
  Case in_float() const {
    const auto narrow = [](const Tensor& v) { return v.defined() ? v.to(torch::kFloat) : v; };
    return {narrow(rows), narrow(targets), narrow(centre), shift};
  }
};

Case random_case(int64_t rows, uint64_t seed, bool centred = true) {
  return {randn({rows, kSize}, seed), randn({rows}, seed + 1),
          centred ? randn({kSize}, seed + 2) : Tensor()};
}

/// min ½‖t - R x‖² + ½σ‖x - x₀‖²: the equations R x = t and √σ x = √σ x₀ in one.
Tensor by_qr(const Case& of) {
  const double root = std::sqrt(of.shift);
  const auto identity = torch::eye(kSize, torch::kDouble);
  const auto x0 =
      of.centre.defined() ? of.centre.to(torch::kDouble) : torch::zeros_like(identity[0]);
  const auto [Q, U] = torch::linalg_qr(torch::cat({of.rows.to(torch::kDouble), root * identity}));
  const auto right = Q.t().mv(torch::cat({of.targets.to(torch::kDouble), root * x0}));
  return torch::linalg_solve_triangular(U, right.unsqueeze(1), /*upper=*/true).squeeze(1);
}

/// ½‖t - R x‖² + ½σ‖x - x₀‖².
double objective(const Case& of, const Tensor& x) {
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
  static Solution solve(const Case& of) { return GetParam().solve(of.problem()); }
};

TEST_P(RowSolve, IsTheSolutionForFewRowsAndMany) {
  for (const int64_t rows : {1, 7, 20, 50}) {
    for (const bool centred : {false, true}) {
      for (const double shift : {0.05, 1., 30.}) {
        auto of = random_case(rows, 10 * rows, centred);
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
  auto of = random_case(6, 3);
  of.rows = torch::cat({of.rows, of.rows, torch::zeros_like(of.rows)});
  of.targets = randn({18}, 4);
  EXPECT_LT(relative_error(solve(of).x, by_qr(of)), kSolved);
}

TEST_P(RowSolve, OfIllConditionedRows) {
  auto of = random_case(12, 5);
  const auto [U, S, V] = torch::linalg_svd(of.rows, /*full_matrices=*/false);
  of.rows = (U * torch::logspace(-5, 0, 12, 10, torch::kDouble)).mm(V);
  of.shift = 1e-10;
  // So that they ask for no huge x.
  of.targets = of.rows.mv(randn({kSize}, 6));
  EXPECT_LT(relative_error(solve(of).x, by_qr(of)), kSolvedIll);
}

TEST_P(RowSolve, KeepsTheAccuracyOfFloat32) {
  const auto of = random_case(12, 7).in_float();
  const auto solution = solve(of);
  EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
  EXPECT_EQ(solution.product_in_rows.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(solution.x, by_qr(of)), kSolvedFloat);
}

TEST_P(RowSolve, SummaryNumbersAreTheTrueOnes) {
  const auto of = random_case(7, 8);
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
    auto of_rows = random_case(5, 9), of_targets = random_case(5, 9);
    of_rows.rows[1][2] = bad;
    of_targets.targets[3] = bad;
    EXPECT_EQ(solve(of_rows).summary.termination, Termination::NonFinite) << bad;
    EXPECT_EQ(solve(of_targets).summary.termination, Termination::NonFinite) << bad;
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, RowSolve, ::testing::ValuesIn(methods()),
                         [](const auto& info) { return info.param.name; });

// ---- One target a million times the others: these count too. ----

// Of the others' targets, what their outputs may lack: a percent, as of a solve for a step.
constexpr double kOthers = 1e-2;

/// The largest error of R x among the rows whose targets are moderate, in units of these.
double error_of_others(const Case& of, const Solution& solution) {
  const auto exact = of.rows.to(torch::kDouble).mv(by_qr(of));
  const auto error = (solution.product_in_rows.to(torch::kDouble) - exact).abs();
  return error.slice(0, 1).max().item<double>();
}

Case with_outlier(int64_t rows) {
  Case of{randn({rows, kSize}, 21), randn({rows}, 22), {}};
  of.shift = of.rows.square().sum(1).mean().item<double>();
  of.targets[0] = 1e6;
  return of;
}

TEST(RowSolveTest, ATargetAMillionTimesTheOthersLeavesTheseSolved) {
  for (const int64_t rows : {8, 60}) {
    const auto of = with_outlier(rows);
    EXPECT_LT(error_of_others(of, DualOrConjugateGradient().solve_by_rows(of.problem())), kOthers);
    EXPECT_LT(error_of_others(of, Dual().solve_by_rows(of.problem())), kOthers);
    const auto by_products = DualOrConjugateGradient().limit(0);
    EXPECT_LT(error_of_others(of, by_products.solve_by_rows(of.problem())), kOthers) << rows;
  }
}

// ---- Limits. ----

TEST(RowSolveTest, AShiftBelowTheRoundingBreaksDown) {
  auto of = random_case(3, 11);
  of.rows = torch::cat({of.rows, of.rows});
  of.targets = torch::ones({6}, torch::kDouble);
  of.shift = 1e-200;
  EXPECT_EQ(Dual().solve_by_rows(of.problem()).summary.termination, Termination::Breakdown);
}

TEST(RowSolveTest, AboveTheConditionOfFloat32TheFactorIsMadeInDouble) {
  // The Gram matrix is exact in float32, and σ is below its rounding.
  const auto identity = torch::eye(kSize, torch::kDouble);
  Case of{torch::stack({1024 * identity[0], 1024 * identity[0] + identity[1]}),
          torch::ones({2}, torch::kDouble),
          {}};
  of.shift = 1. / 64;
  EXPECT_LT(relative_error(detail::solve_by_gram_matrix(of.in_float().problem()).x, by_qr(of)),
            kSolvedFloat);
}

TEST(RowSolveTest, OtherSolversSayWhatToTake) {
  const auto problem = random_case(3, 12).problem();
  EXPECT_FALSE(Cholesky().solves_by_rows(*problem.root));
  expect_error([&] { Cholesky().solve_by_rows(problem); }, "natgrad::Dual()");
  EXPECT_TRUE(Dual().limit(3).solves_by_rows(*problem.root));
  EXPECT_FALSE(Dual().limit(2).solves_by_rows(*problem.root));
  EXPECT_TRUE(DualOrConjugateGradient().limit(0).solves_by_rows(*problem.root));
}

}  // namespace
}  // namespace natgrad::testing::row_solve_test
