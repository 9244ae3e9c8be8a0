#include <natgrad/solvers/conjugate_gradients.h>

#include <algorithm>

#include "support/krylov.h"
#include "support/linear_problems.h"

// Each reason to stop, provoked; each with the scalars read at every iteration and at intervals.

namespace natgrad::testing::conjugate_gradients_termination_test {
namespace {

// Iterates against dense projections and the textbook recurrence on well-conditioned problems.
constexpr double kIterate = 1e-9;
// What the test's own b - A x rounds, relative to ‖A‖‖x‖.
constexpr double kOwnRounding = 1e-14;

class ConjugateGradientTermination : public ::testing::TestWithParam<int64_t> {
 protected:
  ConjugateGradient solver() const { return ConjugateGradient().check_interval(GetParam()); }
};

TEST_P(ConjugateGradientTermination, IterationLimitIsExact) {
  const auto a = random_spd(30, 1e4, 1);
  const auto b = randn({30}, 2);
  for (const int64_t limit : {1, 3, 8}) {
    const auto [x, summary, snapshots, basis, in_rows] =
        solver().max_iterations(limit).solve(from_dense(a), b);
    EXPECT_EQ(summary.termination, Termination::IterationLimit);
    EXPECT_EQ(summary.iterations, limit);
    EXPECT_EQ(summary.products, limit);
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, limit)), kIterate);
    EXPECT_NEAR(summary.residual, residual_norm(a, b, x), kIterate * length(b));
  }
}

/// The first i > k with φᵢ < 0 and (φᵢ - φᵢ₋ₖ)/φᵢ < kε, k = max(10, i/10), for given iterates.
struct RuleOfMartens {
  int64_t iteration = -1;
  double margin = HUGE_VAL;  // how near any ratio came to its threshold, relative
};

int64_t window_of_martens(int64_t i) { return std::max<int64_t>(10, i / 10); }

RuleOfMartens first_stop(const std::vector<double>& phi, double epsilon,
                         int64_t (*window)(int64_t)) {
  RuleOfMartens rule;
  for (int64_t i = 11; i < static_cast<int64_t>(phi.size()); ++i) {
    const int64_t k = window(i);
    const double ratio = (phi[i] - phi[i - k]) / phi[i],
                 threshold = static_cast<double>(k) * epsilon;
    rule.margin = std::min(rule.margin, std::abs(ratio / threshold - 1));
    if (phi[i] < 0 && ratio < threshold) {
      rule.iteration = i;
      return rule;
    }
  }
  return rule;
}

// No ratio may be so near its threshold that rounding decides.
constexpr double kClearMargin = 1e-4;

/// φ along the solver's own iterates x₀ = 0, x₁, ..., from x itself. (Another run of the recurrence
/// would leave it by rounding, once orthogonality is lost.)
std::vector<double> quadratic_history(const Tensor& a, const Tensor& b, int64_t iterations) {
  std::vector<double> phi = {0};
  for (int64_t i = 1; i <= iterations; ++i) {
    const auto solver = ConjugateGradient().tolerance(0).max_iterations(i);
    phi.push_back(quadratic(a, b, solver.solve(from_dense(a), b).x));
  }
  return phi;
}

TEST_P(ConjugateGradientTermination, RelativeProgressStopsWhereMartensRuleSays) {
  int64_t earliest = 100;
  for (const double condition : {10.0, 1e3}) {
    const auto a = random_spd(60, condition, 3);
    const auto b = randn({60}, 4);
    const auto phi = quadratic_history(a, b, 60);
    for (const double epsilon : {5e-3, 2e-3, 5e-4}) {
      const auto rule = first_stop(phi, epsilon, window_of_martens);
      ASSERT_GE(rule.iteration, 11);
      ASSERT_GT(rule.margin, kClearMargin);
      const auto options = solver().tolerance(0).relative_progress(epsilon);
      const auto [x, summary, snapshots, basis, in_rows] = options.solve(from_dense(a), b);
      EXPECT_EQ(summary.termination, Termination::RelativeProgress);
      EXPECT_EQ(summary.iterations, rule.iteration) << "ε " << epsilon;
      EXPECT_NEAR(quadratic(a, b, x), phi[rule.iteration],
                  kIterate * std::abs(phi[rule.iteration]));
      earliest = std::min(earliest, rule.iteration);
    }
  }
  ASSERT_LT(earliest, 20) << "the rule's first iterations are not reached";
}

/// The second difference with a minus sign, tridiagonal (-1, 2, -1). From b = e₁ the i-th iterate
/// is in the first i coordinates, and φᵢ = -½ (Aᵢ⁻¹)₁₁ = -½ i/(i + 1) in closed form.
Tensor second_difference(int64_t size) {
  const auto off = -torch::ones({size - 1}, torch::kDouble);
  return 2 * torch::eye(size, torch::kDouble) + torch::diag(off, 1) + torch::diag(off, -1);
}

// From iteration 110 on, k = i/10: with k = 10 for ever this solve would stop earlier. No Ritz
// value has converged when it stops, so that φ is that of exact arithmetic on any machine.
TEST(RelativeProgressTest, TheWindowGrowsWithTheIterations) {
  constexpr double kEpsilon = 1.0 / 90000;
  std::vector<double> phi;
  for (int i = 0; i < 400; ++i) phi.push_back(-0.5 * i / (i + 1));
  const auto rule = first_stop(phi, kEpsilon, window_of_martens);
  ASSERT_GT(rule.iteration, 120);
  ASSERT_GT(rule.margin, kClearMargin);
  const auto fixed = first_stop(phi, kEpsilon, [](int64_t) -> int64_t { return 10; });
  ASSERT_LT(fixed.iteration + 5, rule.iteration) << "the problem does not tell the two apart";

  const auto a = second_difference(600);
  const auto b = torch::eye(600, torch::kDouble)[0];
  const auto options = ConjugateGradient().tolerance(0).relative_progress(kEpsilon);
  const auto summary =
      ConjugateGradient(options).max_iterations(400).solve(from_dense(a), b).summary;
  EXPECT_EQ(summary.termination, Termination::RelativeProgress);
  EXPECT_EQ(summary.iterations, rule.iteration);
  EXPECT_NEAR(summary.quadratic, phi[rule.iteration], kIterate);
}

TEST_P(ConjugateGradientTermination, RelativeProgressIsOffByDefault) {
  const auto a = random_spd(60, 1e3, 3);
  const auto summary =
      solver().tolerance(0).max_iterations(50).solve(from_dense(a), randn({60}, 4)).summary;
  EXPECT_EQ(summary.termination, Termination::IterationLimit);
}

/// Eigenvalues 1 to 12 and one of -0.05, which the Krylov subspaces find after some iterations.
Tensor slightly_indefinite() {
  const auto positive = torch::arange(1, 13, torch::kDouble);
  return symmetric_with_spectrum(torch::cat({positive, torch::tensor({-0.05}, torch::kDouble)}), 5);
}

TEST_P(ConjugateGradientTermination, NegativeCurvatureKeepsTheLastIterate) {
  const auto a = slightly_indefinite();
  const auto b = randn({13}, 6);
  const auto [x, summary, snapshots, subspace, in_rows] =
      solver().tolerance(0).solve(from_dense(a), b);
  ASSERT_EQ(summary.termination, Termination::NegativeCurvature) << to_string(summary.termination);
  ASSERT_GT(summary.iterations, 1);
  const auto k = summary.iterations;
  EXPECT_LT(relative_error(x, krylov_minimiser(a, b, k)), kIterate);
  const auto basis = krylov_basis(a, b, k + 1);
  const auto rayleigh = std::get<0>(torch::linalg_eigh(basis.t().mm(a).mm(basis)));
  EXPECT_LT(rayleigh[0].item<double>(), 0) << "the next subspace has no negative curvature";
  const auto before = krylov_basis(a, b, k);
  EXPECT_GT(std::get<0>(torch::linalg_eigh(before.t().mm(a).mm(before)))[0].item<double>(), 0);
}

TEST_P(ConjugateGradientTermination, NegativeCurvatureAtOnceKeepsTheStart) {
  const auto a = from_dense(-torch::eye(4, torch::kDouble));
  const auto b = randn({4}, 1), x0 = randn({4}, 2);
  const auto cold = solver().solve(a, b);
  EXPECT_EQ(cold.summary.termination, Termination::NegativeCurvature);
  EXPECT_EQ(cold.summary.iterations, 0);
  EXPECT_EQ(length(cold.x), 0);
  const auto warm = solver().solve({a, b, x0});
  EXPECT_EQ(warm.summary.termination, Termination::NegativeCurvature);
  EXPECT_LT(relative_error(warm.x, x0), kOwnRounding);
}

TEST_P(ConjugateGradientTermination, NoCurvatureAtAllIsABreakdown) {
  const auto b = randn({4}, 1);
  for (const auto& a : {torch::zeros({4, 4}, torch::kDouble),
                        torch::diag(torch::tensor({1.0, 1.0, 1.0, 0.0}, torch::kDouble))}) {
    const auto along_null = torch::tensor({0.0, 0.0, 0.0, 1.0}, torch::kDouble);
    const auto [x, summary, snapshots, basis, in_rows] = solver().solve(from_dense(a), along_null);
    EXPECT_EQ(summary.termination, Termination::Breakdown) << to_string(summary.termination);
    EXPECT_EQ(length(x), 0);
  }
}

// 1e42 = 1/1e-42 is no number of float32, in which 1e-42 still is one.
TEST_P(ConjugateGradientTermination, AStepBeyondTheNumbersIsABreakdown) {
  const auto b = torch::ones({4});
  const auto tiny = torch::full({}, 1e-42);
  ASSERT_GT(tiny.item<float>(), 0);
  const LinearOperator a("tiny", 4, b.options(), [=](const Tensor& v) { return tiny * v; });
  const auto solution = solver().solve(a, b);
  EXPECT_EQ(solution.summary.termination, Termination::Breakdown)
      << to_string(solution.summary.termination);
  EXPECT_EQ(length(solution.x), 0);
}

/// Positive semidefinite of [20, 20] with eigenvalues 1, 2 and 3, and the zero five times.
Tensor singular_matrix() {
  const auto eigenvalues = torch::cat(
      {torch::arange(1, 4, torch::kDouble).repeat({5}), torch::zeros({5}, torch::kDouble)});
  return symmetric_with_spectrum(eigenvalues, 7);
}

// Without a safeguard α divides by a pᵀAp of rounding alone: the textbook's x becomes larger than
// 1e12.
TEST_P(ConjugateGradientTermination, AnInconsistentSingularSystemIsABreakdownAndXStaysSmall) {
  constexpr double kSmall = 100;
  const auto a = singular_matrix();
  const auto b = randn({20}, 8);
  ASSERT_GT(length(textbook_cg(a, b, 4).x.back()), 1e12);
  const auto [x, summary, snapshots, basis, in_rows] =
      solver().tolerance(1e-8).solve(from_dense(a), b);
  EXPECT_EQ(summary.termination, Termination::Breakdown) << to_string(summary.termination);
  EXPECT_LT(length(x), kSmall * length(b));
  EXPECT_LT(relative_error(x, krylov_minimiser(a, b, summary.iterations)), kIterate);
}

TEST_P(ConjugateGradientTermination, AConsistentSingularSystemConvergesToTheSmallestSolution) {
  const auto a = singular_matrix();
  const auto b = a.mv(randn({20}, 8));
  const auto [x, summary, snapshots, basis, in_rows] =
      solver().tolerance(1e-10).solve(from_dense(a), b);
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LT(relative_error(x, torch::linalg_pinv(a, 1e-10).mv(b)), kIterate);
}

/// The matrix, except that its n-th product (from 1) is spoiled in one place.
LinearOperator spoiled_at(const Tensor& a, int64_t n, double value) {
  auto count = std::make_shared<int64_t>(0);
  return {"spoiled", a.size(0), a.options(), [=](const Tensor& v) {
            auto product = a.mv(v);
            if (++*count == n) product[1] = value;
            return product;
          }};
}

TEST_P(ConjugateGradientTermination, AProductThatIsNotFiniteKeepsTheLastSoundIterate) {
  const auto a = random_spd(30, 1e3, 1);
  const auto b = randn({30}, 2);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    for (const int64_t n : {1, 2, 5, 8}) {
      const auto [x, summary, snapshots, basis, in_rows] =
          solver().max_iterations(20).solve(spoiled_at(a, n, bad), b);
      EXPECT_EQ(summary.termination, Termination::NonFinite) << "product " << n << " holds " << bad;
      EXPECT_EQ(summary.iterations, n - 1);
      ASSERT_TRUE(all_finite(x));
      EXPECT_LT(relative_error(x, krylov_minimiser(a, b, n - 1)), kIterate);
      EXPECT_TRUE(std::isfinite(summary.residual) && std::isfinite(summary.quadratic));
    }
  }
}

// One that stays so, as a network full of NaN gives.
TEST_P(ConjugateGradientTermination, AProductThatIsAlwaysNanKeepsTheStart) {
  const auto a = from_dense(torch::full({3, 3}, std::nan(""), torch::kDouble));
  const auto [x, summary, snapshots, basis, in_rows] = solver().solve(a, randn({3}, 1));
  EXPECT_EQ(summary.termination, Termination::NonFinite);
  EXPECT_EQ(length(x), 0);
  const auto warm = solver().solve({a, randn({3}, 1), torch::ones({3}, torch::kDouble)});
  EXPECT_EQ(warm.summary.termination, Termination::NonFinite);
  EXPECT_TRUE(identical(warm.x, torch::ones({3}, torch::kDouble)));
}

TEST_P(ConjugateGradientTermination, ASystemThatIsNotFiniteIsSaidToBe) {
  const auto a = from_dense(random_spd(4, 10, 1));
  const auto b = randn({4}, 2);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const auto spoiled = b.clone();
    spoiled[2] = bad;
    const auto solution = solver().solve(a, spoiled);
    EXPECT_EQ(solution.summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(solution.x), 0);
    EXPECT_EQ(solver().solve({a, b, spoiled}).summary.termination, Termination::NonFinite);
  }
}

TEST_P(ConjugateGradientTermination, ConvergedIsTrueAtModerateTolerances) {
  for (const double tolerance : {1e-1, 1e-3, 1e-6}) {
    const auto a = random_spd(30, 1e4, 1);
    const auto b = randn({30}, 2);
    const auto [x, summary, snapshots, basis, in_rows] =
        solver().tolerance(tolerance).max_iterations(1000).solve(from_dense(a), b);
    EXPECT_EQ(summary.termination, Termination::Converged);
    EXPECT_LE(residual_norm(a, b, x), tolerance * length(b) + kOwnRounding * length(x));
    const auto one_less = ConjugateGradient().tolerance(0).max_iterations(summary.iterations - 1);
    EXPECT_GT(residual_norm(a, b, one_less.solve(from_dense(a), b).x), tolerance * length(b));
  }
}

constexpr double kTolerance = 1e-8;

/// The conditions where the recurrence's residual falls without end while the true one stays.
struct IllConditioned {
  double condition;
  Tensor a, b;
};

std::vector<IllConditioned> ill_conditioned() {
  std::vector<IllConditioned> systems;
  for (const double condition : {1e12, 1e14, 1e16}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      systems.push_back({condition, random_spd(6, condition, seed), randn({6}, seed + 50)});
    }
  }
  return systems;
}

// Shows that the trap of the next test is there: at 1e12 and 1e14 each time, at 1e16 sometimes.
TEST(FalseConvergenceTest, TheTextbookBelievesItsRecurrence) {
  for (const auto& [condition, a, b] : ill_conditioned()) {
    if (condition > 1e14) continue;
    const auto run = textbook_cg(a, b, 300);
    const auto small = [&](double residual) { return residual <= kTolerance * length(b); };
    const auto stop = std::find_if(run.residual.begin(), run.residual.end(), small);
    ASSERT_NE(stop, run.residual.end()) << "condition " << condition;
    EXPECT_GT(residual_norm(a, b, run.x[stop - run.residual.begin()]), 10 * kTolerance * length(b));
  }
}

TEST_P(ConjugateGradientTermination, ConvergedIsNeverFalseAtConditionsUpTo1e16) {
  for (const auto& [condition, a, b] : ill_conditioned()) {
    const auto [x, summary, snapshots, basis, in_rows] =
        solver().tolerance(kTolerance).max_iterations(400).solve(from_dense(a), b);
    ASSERT_TRUE(all_finite(x));
    const bool met = residual_norm(a, b, x) <= 1.01 * kTolerance * length(b);
    EXPECT_EQ(summary.termination == Termination::Converged, met)
        << to_string(summary.termination) << " at condition " << condition;
    EXPECT_LE(summary.iterations, 400);
  }
}

// A tolerance below what rounding allows must end, soon, and not by saying that it was met.
TEST_P(ConjugateGradientTermination, AnUnreachableToleranceIsABreakdown) {
  const auto a = random_spd(20, 1e6, 1);
  const auto b = randn({20}, 2);
  const auto [x, summary, snapshots, basis, in_rows] =
      solver().tolerance(1e-18).max_iterations(100000).solve(from_dense(a), b);
  EXPECT_EQ(summary.termination, Termination::Breakdown) << to_string(summary.termination);
  EXPECT_LT(summary.iterations, 1000);
  EXPECT_LE(residual_norm(a, b, x), 100 * kOwnRounding * length(x));  // as good as rounding allows
}

INSTANTIATE_TEST_SUITE_P(Intervals, ConjugateGradientTermination, ::testing::Values(0, 1, 4, 7),
                         ::testing::PrintToStringParamName());

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_termination_test
