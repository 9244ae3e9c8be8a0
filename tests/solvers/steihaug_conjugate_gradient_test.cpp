#include <natgrad/solvers/steihaug_conjugate_gradient.h>

#include <algorithm>

#include "support/krylov.h"
#include "support/linear_problems.h"

// Against the exact minimiser in the region by its eigenvalues, and against the path of the
// textbook's recurrence, cut at the radius.

namespace natgrad::testing::steihaug_conjugate_gradient_test {
namespace {

constexpr double kTolerance = 1e-10;
// A few roundings of sums over the vectors.
constexpr double kRounding = 1e-13;
// The textbook's path and this one round differently, well conditioned and in few iterations.
constexpr double kPath = 1e-9;

SteihaugConjugateGradient within(double radius) {
  return SteihaugConjugateGradient().radius(radius).max_iterations(5000).tolerance(kTolerance);
}

/// argmin φ over ‖x‖ ≤ radius, unless b is orthogonal to the least eigenvectors: (A + σI) x = b
/// with the least σ ≥ 0 that A + σI ⪰ 0 and the radius allow (Moré & Sorensen 1983), by bisection.
Tensor exact_minimiser(const Tensor& a, const Tensor& b, double radius) {
  const auto [values, vectors] = torch::linalg_eigh(a);
  const auto along = vectors.t().mv(b);
  const auto x = [&, &values = values, &vectors = vectors](double sigma) {
    return vectors.mv(along / (values + sigma));
  };
  const double least = values[0].item<double>();
  if (least > 0 && length(x(0)) <= radius) return x(0);
  double low = std::max(0.0, -least), high = low + length(b) / radius;
  for (int k = 0; k < 200; ++k) {
    const double middle = 0.5 * (low + high);
    (length(x(middle)) > radius ? low : high) = middle;
  }
  return x(high);
}

/// φ of the best c b with ‖c b‖ ≤ radius.
double cauchy_decrease(const Tensor& a, const Tensor& b, double radius) {
  const double curvature = b.dot(a.mv(b)).item<double>();
  const double boundary = radius / length(b);
  const double c =
      curvature > 0 ? std::min(boundary, b.dot(b).item<double>() / curvature) : boundary;
  return quadratic(a, b, c * b);
}

class SteihaugProblems : public ::testing::TestWithParam<LinearProblem> {
 protected:
  const Tensor a_ = GetParam().matrix;
  const Tensor b_ = GetParam().right_hand_side;
  const Tensor exact_ = torch::linalg_solve(a_, b_);
};

TEST_P(SteihaugProblems, AreSolvedWhereTheSolutionLiesInside) {
  const double radius = 1.01 * length(exact_) + 1e-300;
  const auto solution = within(radius).solve_in_region({from_dense(a_), b_});
  EXPECT_FALSE(solution.on_boundary);
  EXPECT_EQ(solution.summary.termination, Termination::Converged)
      << to_string(solution.summary.termination);
  EXPECT_LE(relative_error(solution.x, exact_), 2 * GetParam().condition * kTolerance);
  EXPECT_NEAR(solution.norm, length(solution.x), kRounding * radius);
  EXPECT_LE(relative_error(exact_minimiser(a_, b_, radius), exact_), kTolerance);
}

TEST_P(SteihaugProblems, GoToTheBoundaryAndLowerTheModelByHalfOfWhatIsPossible) {
  for (const double share : {1e-3, 0.1, 0.5, 0.9, 0.99}) {
    const double radius = share * length(exact_);
    if (radius == 0) continue;
    const auto solution = within(radius).solve_in_region({from_dense(a_), b_});
    const double phi = quadratic(a_, b_, solution.x);
    const double best = quadratic(a_, b_, exact_minimiser(a_, b_, radius));
    const double slack = kRounding * std::abs(best);
    EXPECT_TRUE(solution.on_boundary) << share;
    EXPECT_EQ(solution.summary.termination, Termination::Boundary);
    EXPECT_NEAR(length(solution.x), radius, kRounding * radius);
    EXPECT_NEAR(solution.norm, radius, kRounding * radius);
    EXPECT_LE(phi, cauchy_decrease(a_, b_, radius) + slack);
    EXPECT_LE(phi, 0.5 * best + slack);
    EXPECT_GE(phi, best - slack);
  }
}

TEST_P(SteihaugProblems, SummaryNumbersAreTheTrueOnes) {
  for (const double share : {0.3, 1.5}) {
    const double radius = share * length(exact_) + 1e-300;
    const auto [x, summary, snapshots, basis, in_rows] = within(radius).solve({from_dense(a_), b_});
    const double size = length(a_) * length(x);
    EXPECT_NEAR(summary.residual, residual_norm(a_, b_, x), kRounding * (size + length(b_)));
    EXPECT_NEAR(summary.right_hand_side, length(b_), kRounding * length(b_));
    EXPECT_NEAR(summary.quadratic, quadratic(a_, b_, x),
                kTolerance * std::abs(quadratic(a_, b_, x)));
  }
}

// A solution of moderate size can be had at any condition number.
class IllConditionedSteihaugProblems : public SteihaugProblems {};
TEST_P(IllConditionedSteihaugProblems, ConvergeToTheToleranceOfTheTrueResidual) {
  const auto solver = within(10 * length(exact_) + 1).max_iterations(20000);
  const auto [x, summary, snapshots, basis, in_rows] = solver.solve({from_dense(a_), b_});
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LE(residual_norm(a_, b_, x), kTolerance * length(b_) + kRounding * length(x));
}

INSTANTIATE_TEST_SUITE_P(Problems, IllConditionedSteihaugProblems,
                         ::testing::ValuesIn(linear_problems()), linear_problem_name);
INSTANTIATE_TEST_SUITE_P(Problems, SteihaugProblems,
                         ::testing::ValuesIn(linear_problems_up_to(1e4)), linear_problem_name);

/// Where the polygon through the textbook's iterates leaves the ball, by bisection.
Tensor cut_path(const Tensor& a, const Tensor& b, double radius) {
  const auto path = textbook_cg(a, b, static_cast<int>(b.numel())).x;
  const auto outside =
      std::find_if(path.begin(), path.end(), [&](const Tensor& x) { return length(x) > radius; });
  const Tensor from = outside[-1], to = *outside;
  double low = 0, high = 1;
  for (int k = 0; k < 60; ++k) {
    const double middle = 0.5 * (low + high);
    (length(from + middle * (to - from)) > radius ? high : low) = middle;
  }
  return from + low * (to - from);
}

TEST(SteihaugTest, ThePathIsThatOfConjugateGradientsCutAtTheRadius) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const double full = length(torch::linalg_solve(a, b));
  for (const double share : {0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99}) {
    const auto x = within(share * full).solve({from_dense(a), b}).x;
    EXPECT_LT(relative_error(x, cut_path(a, b, share * full)), kPath) << share;
  }
}

TEST(SteihaugTest, ASmallRadiusGivesTheDirectionOfSteepestDescent) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const auto [x, summary, snapshots, basis, in_rows] = within(1e-6).solve({from_dense(a), b});
  EXPECT_LT(relative_error(x, 1e-6 * b / b.norm()), kRounding);
  EXPECT_EQ(summary.products, 1);
}

TEST(SteihaugTest, NegativeCurvatureAlongTheFirstDirectionIsFollowedToTheBoundary) {
  const auto a = torch::diag(torch::tensor({-2.0, 1.0, 3.0}, torch::kDouble));
  const auto b = torch::tensor({0.5, 0.0, 0.0}, torch::kDouble);
  const auto solution = within(4).solve_in_region({from_dense(a), b});
  EXPECT_LT(relative_error(solution.x, torch::tensor({4.0, 0.0, 0.0}, torch::kDouble)), kRounding);
  EXPECT_TRUE(solution.on_boundary);
  EXPECT_EQ(solution.summary.termination, Termination::NegativeCurvature);
  EXPECT_EQ(solution.summary.iterations, 1);
  EXPECT_NEAR(solution.summary.quadratic, -0.5 * 2 * 16 - 0.5 * 4, kRounding * 18);
  EXPECT_NEAR(solution.summary.residual, 0.5 + 2 * 4, kRounding * 8.5);
}

TEST(SteihaugTest, IndefiniteMatricesEndOnTheBoundaryBelowTheCauchyPoint) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    const auto a = symmetric_with_spectrum(torch::linspace(-1, 5, 15, torch::kDouble), seed);
    const auto b = randn({15}, seed + 50);
    for (const double radius : {0.01, 1.0, 1e6}) {
      const auto solution = within(radius).solve_in_region({from_dense(a), b});
      const double phi = quadratic(a, b, solution.x);
      const double best = quadratic(a, b, exact_minimiser(a, b, radius));
      EXPECT_TRUE(solution.on_boundary);
      EXPECT_NEAR(length(solution.x), radius, kRounding * radius);
      EXPECT_LE(phi, cauchy_decrease(a, b, radius) * (1 - kRounding));
      EXPECT_GE(phi, best * (1 + kRounding));
      if (radius == 1e6) {
        EXPECT_EQ(solution.summary.termination, Termination::NegativeCurvature);
      }
    }
  }
}

// φ falls without end along the null space: the boundary is where it ends, not 1e15.
TEST(SteihaugTest, AnInconsistentSingularSystemEndsOnTheBoundary) {
  const auto u = randn({8, 5}, 1);
  const auto b = randn({8}, 2);
  const auto solution = within(10).solve_in_region({from_dense(u.mm(u.t())), b});
  EXPECT_TRUE(solution.on_boundary);
  EXPECT_EQ(solution.summary.termination, Termination::Boundary);
  EXPECT_NEAR(length(solution.x), 10, 10 * kRounding);
}

TEST(SteihaugTest, AConsistentSingularSystemEndsInside) {
  const auto u = randn({8, 5}, 1);
  const auto a = u.mm(u.t());
  const auto x0 = a.mv(randn({8}, 2));
  const auto b = a.mv(x0);
  const auto solution = within(1e6 * length(x0)).solve_in_region({from_dense(a), b});
  EXPECT_FALSE(solution.on_boundary);
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_LT(relative_error(solution.x, x0), 1e3 * kTolerance);  // the condition number of UUᵀ
}

TEST(SteihaugTest, InOneDimensionItIsTheMinimumOfAParabolaOnAnInterval) {
  const auto solve = [](double a, double b, double radius) {
    const auto matrix = torch::full({1, 1}, a, torch::kDouble);
    const auto right = torch::full({1}, b, torch::kDouble);
    return within(radius).solve({from_dense(matrix), right}).x.item<double>();
  };
  EXPECT_NEAR(solve(2, 3, 10), 1.5, kRounding);
  EXPECT_NEAR(solve(2, 3, 1), 1, kRounding);
  EXPECT_NEAR(solve(2, -3, 1), -1, kRounding);
  EXPECT_NEAR(solve(-2, 3, 7), 7, kRounding);
  EXPECT_NEAR(solve(0, -3, 7), -7, kRounding);
}

// With M = C Cᵀ and x = C y it is the plain method on CᵀAC y = Cᵀb, and ‖x‖_{M⁻¹} = ‖y‖.
TEST(SteihaugTest, APreconditionerIsAChangeOfVariables) {
  const auto c = torch::linalg_cholesky(random_spd(15, 30, 3));
  const auto m = c.mm(c.t());
  const auto b = randn({15}, 2);
  const std::vector<Tensor> matrices = {random_spd(15, 100, 1),
                                        symmetric_with_spectrum(torch::linspace(-1, 5, 15), 4)};
  for (const auto& a : matrices) {
    for (const double radius : {0.05, 0.5, 2.0, 1e3}) {
      const auto x = within(radius).solve_in_region({from_dense(a), b, {}, from_dense(m)});
      const auto y = within(radius).solve_in_region({from_dense(c.t().mm(a).mm(c)), c.t().mv(b)});
      EXPECT_LT(relative_error(x.x, c.mv(y.x)), kPath) << radius;
      EXPECT_EQ(x.on_boundary, y.on_boundary);
      EXPECT_NEAR(x.norm, length(torch::linalg_solve(c, x.x)), kPath * radius);
      EXPECT_LE(x.norm, radius * (1 + kRounding));
    }
  }
}

TEST(SteihaugTest, TheExactInverseAsPreconditionerTakesOneIteration) {
  const auto a = random_spd(15, 1e3, 1);
  const auto b = randn({15}, 2);
  const auto inverse = torch::linalg_inv(a);
  const auto [x, summary, snapshots, basis, in_rows] =
      within(1e6).solve({from_dense(a), b, {}, from_dense(inverse)});
  EXPECT_EQ(summary.iterations, 1);
  EXPECT_LT(relative_error(x, torch::linalg_solve(a, b)), kPath);
}

TEST(SteihaugTest, TheSystemsOwnRadiusGoesBeforeTheSolvers) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const double full = length(torch::linalg_solve(a, b));
  for (const double share : {0.2, 0.7}) {
    const auto expected = within(share * full).solve({from_dense(a), b});
    for (const double own : {0.1 * full, 0.9 * full, 1e6}) {
      LinearSystem system{from_dense(a), b};
      system.radius = share * full;
      const auto solution = within(own).solve_in_region(system);
      EXPECT_TRUE(identical(solution.x, expected.x)) << own;
      EXPECT_EQ(solution.summary.termination, Termination::Boundary);
    }
  }
}

TEST(SteihaugTest, ASystemsRadiusIsPositive) {
  LinearSystem system{from_dense(torch::eye(3, torch::kDouble)), torch::ones({3}, torch::kDouble)};
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    system.radius = bad;
    expect_error([&] { within(1).solve(system); }, "radius of a linear system");
  }
}

TEST(SteihaugTest, LimitOfIterationsIsNotTheBoundary) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const auto solution =
      SteihaugConjugateGradient().radius(1e6).max_iterations(3).solve_in_region({from_dense(a), b});
  EXPECT_FALSE(solution.on_boundary);
  EXPECT_EQ(solution.summary.termination, Termination::IterationLimit);
  EXPECT_EQ(solution.summary.iterations, 3);
  EXPECT_EQ(solution.summary.products, 3);
  EXPECT_LT(relative_error(solution.x, krylov_minimiser(a, b, 3)), kPath);
}

TEST(SteihaugTest, ASmallerToleranceThanRoundingEnds) {
  const auto a = random_spd(20, 1e8, 1);
  const auto b = a.mv(randn({20}, 2));
  const auto solver = SteihaugConjugateGradient().radius(1e6).max_iterations(100000).tolerance(0);
  const auto [x, summary, snapshots, basis, in_rows] = solver.solve({from_dense(a), b});
  EXPECT_LT(summary.iterations, 1000);
  EXPECT_LE(residual_norm(a, b, x), 100 * kRounding * length(x));
}

// Where the recurrence's residual falls without end while the true one stays.
TEST(SteihaugTest, ConvergedIsNeverFalse) {
  constexpr double kLoose = 1e-8;
  int converged = 0;
  for (const double condition : {1e10, 1e12, 1e14, 1e16}) {
    for (uint64_t seed = 0; seed < 3; ++seed) {
      const auto a = random_spd(6, condition, seed);
      const auto b = randn({6}, seed + 50);
      const auto solver = within(1e20).tolerance(kLoose).max_iterations(400);
      const auto [x, summary, snapshots, basis, in_rows] = solver.solve({from_dense(a), b});
      const bool met = residual_norm(a, b, x) <= 1.01 * kLoose * length(b);
      EXPECT_EQ(summary.termination == Termination::Converged, met)
          << to_string(summary.termination) << " at condition " << condition;
      converged += met;
    }
  }
  EXPECT_GT(converged, 0);
  EXPECT_LT(converged, 12);
}

TEST(SteihaugTest, AStartIsNotUsed) {
  const auto a = random_spd(10, 100, 1);
  const auto b = randn({10}, 2), start = randn({10}, 3);
  const auto with_start = within(0.5).solve({from_dense(a), b, start}).x;
  EXPECT_TRUE(identical(with_start, within(0.5).solve({from_dense(a), b}).x));
}

TEST(SteihaugTest, AProductThatIsNotFiniteKeepsTheLastSoundIterate) {
  const auto a = random_spd(30, 1e3, 1);
  const auto b = randn({30}, 2);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    int64_t count = 0;
    const LinearOperator spoiled("spoiled", 30, a.options(), [&](const Tensor& v) {
      auto product = a.mv(v);
      if (++count == 4) product[1] = bad;
      return product;
    });
    const auto [x, summary, snapshots, basis, in_rows] = within(1e6).solve({spoiled, b});
    EXPECT_EQ(summary.termination, Termination::NonFinite);
    EXPECT_EQ(summary.iterations, 3);
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, 3)), kPath);
    auto spoiled_b = b.clone();
    spoiled_b[2] = bad;
    const auto other = within(1).solve({from_dense(a), spoiled_b});
    EXPECT_EQ(other.summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(other.x), 0);
  }
}

// The product that would confirm convergence, too.
TEST(SteihaugTest, AResidualThatIsNotFiniteIsSaidToBe) {
  const auto b = randn({4}, 1);
  int64_t count = 0;
  const LinearOperator identity("spoiled", 4, b.options(), [&](const Tensor& v) {
    return ++count == 2 ? v * std::nan("") : v.clone();
  });
  const auto [x, summary, snapshots, basis, in_rows] = within(1e6).solve({identity, b});
  EXPECT_EQ(summary.termination, Termination::NonFinite) << to_string(summary.termination);
  EXPECT_LT(relative_error(x, b), kRounding);
}

// In float32 ‖b‖² over- and underflows at these sizes.
TEST(SteihaugTest, TheSizeOfTheProblemDoesNotMatterInFloat32) {
  constexpr double kFloat = 1e-4;
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const double full = length(torch::linalg_solve(a, b));
  for (const double share : {0.5, 2.0}) {
    const auto plain = within(share * full).solve({from_dense(a), b}).x;
    for (const double size : {1e-25, 1.0, 1e25}) {
      const auto solver = within(size * share * full).tolerance(1e-5);
      const LinearSystem system{from_dense(a.to(torch::kFloat)), (size * b).to(torch::kFloat)};
      const auto solution = solver.solve_in_region(system);
      EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
      EXPECT_EQ(solution.on_boundary, share < 1);
      EXPECT_LT(relative_error(solution.x.to(torch::kDouble) / size, plain), kFloat) << size;
    }
  }
}

TEST(SteihaugTest, AZeroRightHandSideTakesNoProduct) {
  const auto solution = within(1).solve_in_region(
      {from_dense(random_spd(5, 10, 1)), torch::zeros({5}, torch::kDouble)});
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_EQ(solution.summary.products, 0);
  EXPECT_EQ(length(solution.x), 0);
  EXPECT_FALSE(solution.on_boundary);
}

TEST(SteihaugTest, BadArgumentsThrow) {
  const auto a = from_dense(torch::eye(3, torch::kDouble));
  const auto b = torch::ones({3}, torch::kDouble);
  const double nan = std::nan("");
  for (const double bad : {0.0, -1.0, nan, HUGE_VAL}) {
    expect_error([&] { SteihaugConjugateGradient().radius(bad).solve({a, b}); }, "radius");
    expect_error([&] { SteihaugConjugateGradient().radius(bad).clone(); }, "radius");
  }
  for (const double bad : {-1e-9, 1.0, nan}) {
    expect_error([&] { SteihaugConjugateGradient().tolerance(bad).solve({a, b}); }, "tolerance");
  }
  expect_error(
      [&] {
        SteihaugConjugateGradient().max_iterations(0).solve({a, b});
      },
      "max_iterations");
  expect_error([&] { within(1).solve({a, torch::ones({4}, torch::kDouble)}); }, "right-hand side");
  expect_error(
      [&] {
        within(1).solve({a, b, {}, from_dense(torch::eye(2, torch::kDouble))});
      },
      "preconditioner");
  for (const double bad : {-1.0, 0.0, nan}) {
    const auto m = natgrad::diagonal_operator(torch::full({3}, bad, torch::kDouble));
    expect_error([&] { within(1).solve({a, b, {}, m}); }, "not positive definite");
  }
}

TEST(SteihaugTest, TextTellsEverySettingApartAndCloneKeepsThem) {
  const auto text = SteihaugConjugateGradient().describe();
  EXPECT_NE(text, SteihaugConjugateGradient().radius(std::nextafter(1.0, 2.0)).describe());
  EXPECT_NE(text, SteihaugConjugateGradient().max_iterations(99).describe());
  EXPECT_NE(text, SteihaugConjugateGradient().tolerance(1e-5).describe());
  EXPECT_EQ(within(3).clone()->describe(), within(3).describe());
}

TEST(SteihaugTest, LeavesItsInputsAlone) {
  const auto a = random_spd(5, 10, 1);
  const auto b = randn({5}, 2);
  const auto kept = b.clone();
  within(0.1).solve({from_dense(a), b}).x.fill_(7);
  within(1e3).solve({from_dense(a), b}).x.fill_(7);
  EXPECT_TRUE(identical(b, kept));
}

}  // namespace
}  // namespace natgrad::testing::steihaug_conjugate_gradient_test
