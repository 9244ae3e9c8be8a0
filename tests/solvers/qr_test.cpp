#include <natgrad/solvers/qr.h>

#include "support/oracles.h"

// Damped least squares by orthogonal factors, against LAPACK's gelsd on all equations at once.

namespace natgrad::testing::qr_test {
namespace {

// Backward stable solves of condition 1e3 or less.
constexpr double kSolved = 1e-12;
// Of the ill-conditioned R below, of condition 1e9: its own condition, not its square (which leaves
// no digit at all).
constexpr double kSolvedIll = 1e-5;

struct Problem {
  Tensor R, t;
  double shift = 0.3;
  Tensor centre = {}, scales = {};

  LeastSquares by_rows() const {
    return {std::make_shared<Root>(explicit_root(R)),   R.size(1), t, shift, centre,
            centre.defined() ? R.mv(centre) : Tensor(), scales};
  }
  Tensor expected() const {
    const auto size = R.size(1);
    const auto one = torch::ones({size}, torch::kDouble);
    const auto d = scales.defined() ? scales : one, x0 = centre.defined() ? centre : 0 * one;
    const auto D = std::sqrt(shift) * d.diag();
    const auto right = torch::cat({t, D.mv(x0)}).unsqueeze(1);
    return std::get<0>(torch::linalg_lstsq(torch::cat({R, D}), right, 1e-16, "gelsd")).squeeze(1);
  }
};

Problem problem_of(int64_t rows, int64_t columns, uint64_t seed) {
  return {randn({rows, columns}, seed), randn({rows}, seed + 1)};
}

TEST(QRTest, IsTheSolutionOfAllEquationsAtOnce) {
  for (const int64_t rows : {1, 5, 12, 30}) {
    for (const bool centred : {false, true}) {
      for (const bool scaled : {false, true}) {
        auto problem = problem_of(rows, 12, 10 * rows);
        if (centred) problem.centre = randn({12}, 3);
        if (scaled) problem.scales = randn({12}, 4).exp();
        const auto solution = QR().solve_by_rows(problem.by_rows());
        EXPECT_EQ(solution.summary.termination, Termination::Converged);
        EXPECT_LT(relative_error(solution.x, problem.expected()), kSolved)
            << rows << " rows, " << centred << scaled;
        EXPECT_LT(relative_error(solution.product_in_rows, problem.R.mv(solution.x)), kSolved);
      }
    }
  }
}

TEST(QRTest, KeepsTheDigitsThatTheNormalEquationsLose) {
  const auto U = random_orthogonal(40, 1).narrow(1, 0, 6), V = random_orthogonal(6, 2);
  Problem problem{U.mm(geometric_spectrum(6, 1e9).diag()).mm(V), randn({40}, 3), 1e-22};
  const auto x = QR().solve_by_rows(problem.by_rows()).x;
  EXPECT_LT(relative_error(x, problem.expected()), kSolvedIll);
}

TEST(QRTest, AStepDoesNotDependOnTheUnitsOfItsParameters) {
  auto problem = problem_of(20, 5, 7), other = problem;
  const auto units = torch::tensor({1e-6, 1e3, 1., 1e8, 1e-9}, torch::kDouble);
  problem.scales = problem.R.norm(2, {0});
  other.R = problem.R * units;
  other.scales = other.R.norm(2, {0});
  const auto x = QR().solve_by_rows(problem.by_rows()).x;
  EXPECT_LT(relative_error(QR().solve_by_rows(other.by_rows()).x * units, x), kSolved);
}

TEST(QRTest, SolvesFloat32RowsInDouble) {
  auto problem = problem_of(20, 5, 9);
  const auto x = QR().solve_by_rows(problem.by_rows()).x;
  problem.R = problem.R.to(torch::kFloat);
  problem.t = problem.t.to(torch::kFloat);
  const auto narrow = QR().solve_by_rows(problem.by_rows()).x;
  EXPECT_EQ(narrow.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(narrow.to(torch::kDouble), x), 1e-6);
}

TEST(QRTest, NumbersThatAreNotFiniteAreSaidSo) {
  auto problem = problem_of(20, 5, 9);
  problem.t[3] = std::nan("");
  EXPECT_EQ(QR().solve_by_rows(problem.by_rows()).summary.termination, Termination::NonFinite);
}

TEST(QRTest, OtherSystemsAreSolvedByCholesky) {
  const auto A = random_spd(8, 100, 1), b = randn({8}, 2);
  const auto solution = QR().solve({from_dense(A), b});
  EXPECT_LT(relative_error(solution.x, torch::linalg_solve(A, b)), kSolved);
  expect_error([&] { QR().limit(7).solve({from_dense(A), b}); }, "limit");
  const auto by_rows = problem_of(20, 8, 1).by_rows();
  expect_error([&] { QR().limit(7).solve_by_rows(by_rows); }, "QR().limit(8)");
  expect_error([] { QR().limit(0).clone(); }, "QR needs limit >= 1");
}

}  // namespace
}  // namespace natgrad::testing::qr_test
