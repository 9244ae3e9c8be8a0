#include <natgrad/solvers/conjugate_gradients.h>

#include "support/krylov.h"
#include "support/linear_problems.h"

namespace natgrad::testing::conjugate_gradients_preconditioner_test {
namespace {

// Dense projections on well-conditioned problems, against a recurrence of a few iterations.
constexpr double kProjection = 1e-10;

ConjugateGradient tight() { return ConjugateGradient().max_iterations(5000).tolerance(1e-10); }
ConjugateGradient iterations(int64_t k) {
  return ConjugateGradient().max_iterations(k).tolerance(0);
}

Solution solve_with(const ConjugateGradient& solver, const Tensor& a, const Tensor& b,
                    const Tensor& m) {
  return solver.solve({from_dense(a), b, {}, from_dense(m)});
}

/// D S D with S well conditioned and D from 1 to 1000: parameters in different units.
Tensor badly_scaled(int64_t n) {
  const auto d = torch::diag(torch::logspace(0, 3, n, 10, torch::kDouble));
  return d.mm(random_spd(n, 5, 1)).mm(d);
}

TEST(PreconditionedCgTest, TheExactInverseTakesOneIteration) {
  const auto a = random_spd(15, 1e3, 1);
  const auto b = randn({15}, 2);
  const auto [x, summary, snapshots, basis, in_rows] =
      solve_with(tight(), a, b, torch::linalg_inv(a));
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 1);
  EXPECT_LT(relative_error(x, torch::linalg_solve(a, b)), kProjection);
}

TEST(PreconditionedCgTest, IteratesMinimiseOverThePreconditionedKrylovSubspaces) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 2);
  const auto b = randn({20}, 3), x0 = randn({20}, 4);
  for (int64_t k = 1; k <= 8; ++k) {
    const auto [x, summary, snapshots, basis, in_rows] =
        iterations(k).solve({from_dense(a), b, x0, from_dense(m)});
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, k, x0, m)), kProjection) << "k = " << k;
    EXPECT_NEAR(summary.residual, residual_norm(a, b, x), kProjection * summary.right_hand_side);
    const double phi = quadratic(a, b, x);
    EXPECT_NEAR(summary.quadratic, phi, kProjection * std::abs(phi));
  }
}

// With M = D⁻², PCG on D S D is CG on S, which takes a fraction of the iterations.
TEST(PreconditionedCgTest, TheDiagonalMendsBadScaling) {
  const auto a = badly_scaled(40);
  const auto b = a.mv(randn({40}, 5));
  const auto plain = tight().solve(from_dense(a), b).summary;
  const auto jacobi = solve_with(tight(), a, b, torch::diag(1 / torch::diag(a))).summary;
  EXPECT_EQ(jacobi.termination, Termination::Converged);
  EXPECT_LT(3 * jacobi.iterations, plain.iterations);
}

TEST(PreconditionedCgTest, TheIdentityChangesNothing) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const auto plain = tight().solve(from_dense(a), b);
  const auto with = solve_with(tight(), a, b, torch::eye(20, torch::kDouble));
  EXPECT_TRUE(identical(with.x, plain.x)) << relative_error(with.x, plain.x);
  EXPECT_EQ(with.summary.iterations, plain.summary.iterations);
}

// c M gives the same iterates for any c > 0; a power of two to the last bit.
TEST(PreconditionedCgTest, TheSizeOfThePreconditionerDoesNotMatter) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 2);
  const auto b = randn({20}, 3);
  const auto plain = solve_with(tight(), a, b, m);
  for (const int exponent : {60, -60}) {
    const auto scaled = solve_with(tight(), a, b, std::ldexp(1, exponent) * m);
    EXPECT_TRUE(identical(scaled.x, plain.x)) << relative_error(scaled.x, plain.x);
  }
}

// The promise is about ‖b - A x‖, whatever the preconditioner makes of it.
TEST(PreconditionedCgTest, ConvergenceIsOfTheTrueResidual) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  for (const double condition : {1.0, 1e3, 1e6}) {
    const auto m = random_spd(20, condition, 3);
    const auto [x, summary, snapshots, basis, in_rows] = solve_with(tight(), a, b, m);
    EXPECT_EQ(summary.termination, Termination::Converged);
    EXPECT_LE(residual_norm(a, b, x), 1.001e-10 * b.norm().item<double>());
  }
}

TEST(PreconditionedCgTest, IntervalsBetweenLooksDoNotChangeTheResult) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 2);
  const auto b = randn({20}, 3);
  const auto every = solve_with(tight(), a, b, m);
  for (const int64_t interval : {4, 7}) {
    const auto other = solve_with(tight().check_interval(interval), a, b, m);
    EXPECT_TRUE(identical(other.x, every.x)) << relative_error(other.x, every.x);
    EXPECT_EQ(other.summary.iterations, every.summary.iterations);
  }
}

TEST(PreconditionedCgTest, AZeroRightHandSideIsNotAFaultOfThePreconditioner) {
  const auto zero = torch::zeros({4}, torch::kDouble);
  const auto [x, summary, snapshots, basis, in_rows] =
      solve_with(tight(), random_spd(4, 10, 1), zero, random_spd(4, 10, 2));
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(x.abs().max().item<double>(), 0);
}

class PreconditionerFaults : public ::testing::TestWithParam<int64_t> {
 protected:
  void expect_refused(const Tensor& m, const Tensor& b) const {
    const auto solver = tight().check_interval(GetParam());
    expect_error([&] { solve_with(solver, a_, b, m); }, "preconditioner");
  }

  const Tensor a_ = random_spd(6, 10, 1);
  const Tensor b_ = randn({6}, 2);
};

TEST_P(PreconditionerFaults, NegativeDefiniteThrows) { expect_refused(-random_spd(6, 10, 3), b_); }

TEST_P(PreconditionerFaults, ZeroThrows) { expect_refused(torch::zeros_like(a_), b_); }

// Positive for the first residual, which has nothing of the negative direction.
TEST_P(PreconditionerFaults, IndefiniteInALaterIterationThrows) {
  const auto m = torch::diag(torch::tensor({1.0, 1.0, 1.0, 1.0, 1.0, -1.0}, torch::kDouble));
  expect_refused(m, torch::tensor({1.0, 1.0, 1.0, 1.0, 1.0, 0.0}, torch::kDouble));
}

TEST_P(PreconditionerFaults, NotFiniteThrows) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    const auto m = torch::ones({6}, torch::kDouble);
    m[3] = bad;
    const auto solver = tight().check_interval(GetParam());
    expect_error(
        [&] {
          solver.solve({from_dense(a_), b_, {}, natgrad::diagonal_operator(m)});
        },
        "preconditioner");
  }
}

TEST_P(PreconditionerFaults, OtherSizesAndDtypesThrow) {
  expect_refused(torch::eye(5, torch::kDouble), b_);
  const auto solver = tight().check_interval(GetParam());
  const auto narrow = from_dense(torch::eye(6, torch::kFloat));
  expect_error([&] { solver.solve({from_dense(a_), b_, {}, narrow}); }, "float");
}

INSTANTIATE_TEST_SUITE_P(Intervals, PreconditionerFaults, ::testing::Values(1, 4, 7),
                         ::testing::PrintToStringParamName());

TEST(ConjugateGradientPreconditionerTest, ARecurrenceBelowRoundingIsNoIndefinitePreconditioner) {
  // A ≈ 1e4 I: solved in a few iterations, after which rᵀMr underflows in float32.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto R = randn({8, 30}, seed).to(torch::kFloat);
    const auto A = from_dense(R.t().mm(R) / 8 + 1e4 * torch::eye(30));
    const auto M = natgrad::diagonal_operator(torch::full({30}, std::pow(1e4f, -0.75f)));
    const auto b = randn({30}, 100 + seed).to(torch::kFloat);
    for (const double progress : {0., 5e-4}) {
      const auto solver =
          ConjugateGradient().tolerance(0).relative_progress(progress).max_iterations(250);
      const auto x = solver.solve({A, b, {}, M}).x;
      EXPECT_LT((A.multiply(x) - b).norm().item<double>(), 1e-5 * b.norm().item<double>());
    }
  }
}

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_preconditioner_test
