#include <natgrad/solvers/conjugate_gradients.h>

#include <algorithm>

#include "support/krylov.h"
#include "support/linear_problems.h"

// The kept iterates, against runs that end there.

namespace natgrad::testing::conjugate_gradients_snapshots_test {
namespace {

// Martens 2010, section 4.6.
constexpr double kMartens = 1.3;

/// ⌈γᵏ⌉ < limit, by repeated multiplication.
std::vector<int64_t> kept_before(int64_t limit, double growth) {
  std::vector<int64_t> kept;
  for (double power = 1; std::ceil(power) < static_cast<double>(limit); power *= growth) {
    const auto i = static_cast<int64_t>(std::ceil(power));
    if (kept.empty() || kept.back() != i) kept.push_back(i);
  }
  return kept;
}

TEST(ConjugateGradientSnapshots, MartensKeepsThese) {
  EXPECT_EQ(kept_before(40, kMartens),
            (std::vector<int64_t>{1, 2, 3, 4, 5, 7, 9, 11, 14, 18, 24, 31}));
}

/// The number of iterations between two looks at the scalars: 1 is the path of the CPU, the others
/// that of a device.
class SnapshotIntervals : public ::testing::TestWithParam<int64_t> {
 protected:
  ConjugateGradient solver(double growth = kMartens) const {
    return ConjugateGradient()
        .max_iterations(40)
        .tolerance(0)
        .check_interval(GetParam())
        .snapshot_growth(growth);
  }
  ConjugateGradient ending_at(int64_t iteration) const {
    return solver(0).max_iterations(iteration);
  }

  /// As many as there should be, each the end of a run of so many iterations.
  void expect_ends_of_runs(const LinearSystem& system, const Solution& solution, double growth) {
    const auto iterations = kept_before(solution.summary.iterations, growth);
    ASSERT_EQ(solution.snapshots.size(), iterations.size()) << growth;
    for (size_t k = 0; k < iterations.size(); ++k) {
      EXPECT_TRUE(identical(solution.snapshots[k], ending_at(iterations[k]).solve(system).x))
          << growth << ", iteration " << iterations[k];
    }
  }

  const Tensor a_ = random_spd(60, 1e4, 1), m_ = random_spd(60, 10, 3);
  const Tensor b_ = randn({60}, 2);
};

TEST_P(SnapshotIntervals, AreTheEndsOfShorterRuns) {
  const LinearSystem system{from_dense(a_), b_};
  for (const double growth : {1.02, kMartens, 3.0}) {
    const auto solution = solver(growth).solve(system);
    EXPECT_EQ(solution.summary.iterations, 40);
    expect_ends_of_runs(system, solution, growth);
  }
}

TEST_P(SnapshotIntervals, AreAsManyAsTheGrowthSays) {
  for (const double growth : {1.001, 1.01, 1.1, 1.25, 1.5, 2.0, 5.0, 10.0, 38.5, 1e9}) {
    const auto solution = solver(growth).solve({from_dense(a_), b_});
    EXPECT_EQ(solution.snapshots.size(), kept_before(40, growth).size()) << growth;
  }
}

TEST_P(SnapshotIntervals, TheLeastGrowthKeepsEveryIterate) {
  const double least = std::nextafter(1.0, 2.0);
  EXPECT_EQ(solver(least).solve({from_dense(a_), b_}).snapshots.size(), 39u);
}

TEST_P(SnapshotIntervals, WithAPreconditionerAndAStartToo) {
  const auto start = torch::linalg_solve(a_, b_) + 1e-3 * randn({60}, 4);
  const LinearSystem system{from_dense(a_), b_, start, from_dense(m_)};
  expect_ends_of_runs(system, solver().solve(system), kMartens);
}

TEST_P(SnapshotIntervals, DoNotChangeTheSolution) {
  const LinearSystem system{from_dense(a_), b_};
  const auto with = solver().solve(system), without = solver(0).solve(system);
  EXPECT_TRUE(identical(with.x, without.x));
  EXPECT_EQ(with.summary.products, without.summary.products);
  EXPECT_TRUE(without.snapshots.empty());
}

TEST_P(SnapshotIntervals, TheQuadraticFallsAlongThem) {
  const auto solution = solver().solve({from_dense(a_), b_});
  double before = 0;
  for (const auto& x : solution.snapshots) {
    const double phi = quadratic(a_, b_, x);
    EXPECT_LT(phi, before);
    before = phi;
  }
  EXPECT_LT(quadratic(a_, b_, solution.x), before);
}

TEST_P(SnapshotIntervals, SizeOfTheSystemIsTheirs) {
  const double size = std::ldexp(1.0, 60);  // a power of two: no rounding
  const auto solution = solver().solve({from_dense(a_), b_});
  const auto scaled = solver().solve({from_dense(a_), size * b_});
  ASSERT_EQ(scaled.snapshots.size(), solution.snapshots.size());
  for (size_t k = 0; k < solution.snapshots.size(); ++k) {
    EXPECT_TRUE(identical(scaled.snapshots[k], size * solution.snapshots[k])) << k;
  }
}

/// Iterations that were started after the stop leave no copies of x, and x itself is none of them.
void expect_no_copies(const Solution& solution, double growth) {
  auto all = solution.snapshots;
  EXPECT_EQ(all.size(), kept_before(solution.summary.iterations, growth).size());
  all.push_back(solution.x);
  for (size_t k = 1; k < all.size(); ++k) EXPECT_FALSE(identical(all[k - 1], all[k])) << k;
}

// The ill-conditioned ones restart from their recomputed residuals.
TEST_P(SnapshotIntervals, ThereAreNoCopies) {
  for (const auto& problem : linear_problems()) {
    for (const double growth : {1.01, kMartens}) {
      const auto solution = solver(growth).tolerance(1e-10).max_iterations(20000).solve(
          {from_dense(problem.matrix), problem.right_hand_side});
      expect_no_copies(solution, growth);
    }
  }
}

// One wrong product parts the recurrence's residual from the true one: it restarts, and goes on.
TEST_P(SnapshotIntervals, ThereAreNoCopiesAfterARestart) {
  const auto a = random_spd(60, 10, 1), error = 1e-2 * randn({60}, 5);
  int64_t count = 0;
  const LinearOperator disturbed("disturbed", 60, a.options(), [&](const Tensor& v) {
    return ++count == 3 ? a.mv(v) + error : a.mv(v);
  });
  const auto options = solver(1.01).tolerance(1e-8).max_iterations(500);
  const auto undisturbed = options.solve({from_dense(a), b_});
  const auto solution = options.solve({disturbed, b_});
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_GT(solution.summary.iterations, undisturbed.summary.iterations + 1);
  expect_no_copies(solution, 1.01);
}

TEST_P(SnapshotIntervals, EndBeforeAProductThatIsNotFinite) {
  int64_t count = 0;
  const LinearOperator spoiled("spoiled", 60, a_.options(), [&](const Tensor& v) {
    auto product = a_.mv(v);
    if (++count == 10) product[1] = std::nan("");
    return product;
  });
  const auto solution = solver().solve({spoiled, b_});
  EXPECT_EQ(solution.summary.termination, Termination::NonFinite);
  EXPECT_EQ(solution.summary.iterations, 9);
  expect_ends_of_runs({from_dense(a_), b_}, solution, kMartens);
}

INSTANTIATE_TEST_SUITE_P(Intervals, SnapshotIntervals, ::testing::Values(1, 2, 5, 7));

TEST(ConjugateGradientSnapshots, WithoutIterationsThereAreNone) {
  const auto solver = ConjugateGradient().snapshot_growth(kMartens);
  const auto a = from_dense(random_spd(5, 10, 1));
  const auto b = randn({5}, 2);
  EXPECT_TRUE(solver.solve(a, torch::zeros({5}, torch::kDouble)).snapshots.empty());
  EXPECT_TRUE(solver.solve(a, std::nan("") * b).snapshots.empty());
  EXPECT_TRUE(solver.solve(from_dense(torch::eye(5, torch::kDouble)), b).snapshots.empty());
}

TEST(ConjugateGradientSnapshots, GrowthIsAboveOneOrZero) {
  const auto a = from_dense(torch::eye(3, torch::kDouble));
  const auto b = torch::ones({3}, torch::kDouble);
  for (const double bad : {1.0, 0.5, -1.3, std::nan(""), HUGE_VAL}) {
    const auto solver = ConjugateGradient().snapshot_growth(bad);
    expect_error([&] { solver.solve(a, b); }, "snapshot_growth");
    expect_error([&] { solver.clone(); }, "snapshot_growth");
  }
  EXPECT_NE(ConjugateGradient().describe(),
            ConjugateGradient().snapshot_growth(kMartens).describe());
}

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_snapshots_test
