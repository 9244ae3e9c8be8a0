#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/solvers/krylov_subspace.h>

#include <algorithm>

#include "support/krylov.h"
#include "support/linear_problems.h"

// Krylov subspace descent's basis and its quadratic minimiser, against dense projections and
// against closed forms of the floored spectrum.

namespace natgrad::testing::krylov_subspace_test {
namespace {

// Two routes to one minimiser over a subspace, on well-conditioned problems.
constexpr double kProjection = 1e-12;
// Twice orthogonalised: a few roundings.
constexpr double kOrthonormal = 1e-14;
// A few roundings of sums over the vectors.
constexpr double kRounding = 1e-13;

KrylovSubspace of_dimension(int64_t k) { return KrylovSubspace().dimension(k); }

ConjugateGradient iterations(int64_t k) {
  return ConjugateGradient().max_iterations(k).tolerance(0);
}

/// ‖VᵀV - I‖.
double defect(const Tensor& v) { return length(v.t().mm(v) - torch::eye(v.size(1), v.options())); }

/// How much of a vector lies outside of the span of orthonormal columns.
double outside(const Tensor& v, const Tensor& u) {
  return length(u - v.mv(v.t().mv(u))) / length(u);
}

/// argmin φ over the span of orthonormal columns.
Tensor minimiser(const Tensor& a, const Tensor& b, const Tensor& v) {
  return v.mv(torch::linalg_solve(v.t().mm(a).mm(v), v.t().mv(b)));
}

class KrylovBasisProblems : public ::testing::TestWithParam<LinearProblem> {
 protected:
  const Tensor a_ = GetParam().matrix;
  const Tensor b_ = GetParam().right_hand_side;
};

TEST_P(KrylovBasisProblems, IsOrthonormalAndKnowsTheMatrixBetweenItsVectors) {
  const auto previous = randn(b_.sizes(), 77);
  for (const int64_t k : {1, 4, 20}) {
    for (const bool with_previous : {false, true}) {
      const auto basis =
          natgrad::krylov_basis(from_dense(a_), b_, k, with_previous ? previous : Tensor());
      const auto& v = basis.vectors;
      EXPECT_LE(v.size(1), std::min(k + with_previous, b_.numel()));
      EXPECT_EQ(basis.products, v.size(1));
      EXPECT_TRUE(basis.finite);
      EXPECT_LT(defect(v), kOrthonormal * 20);
      EXPECT_LT(length(basis.projected - v.t().mm(a_).mm(v)), kRounding * length(a_));
      EXPECT_TRUE(identical(basis.projected, basis.projected.t().contiguous()));
      if (length(b_) > 0) {
        EXPECT_LT(outside(v, b_), kRounding);
      }
      if (with_previous) {
        EXPECT_LT(outside(v, previous), kRounding);
      }
    }
  }
}

TEST_P(KrylovBasisProblems, ThePreviousDirectionIsTheLastVector) {
  if (length(b_) == 0) return;
  const auto previous = randn(b_.sizes(), 77);
  const auto with = natgrad::krylov_basis(from_dense(a_), b_, 3, previous);
  const auto without = natgrad::krylov_basis(from_dense(a_), b_, 3);
  const auto leading = with.vectors.narrow(1, 0, without.vectors.size(1));
  EXPECT_TRUE(identical(leading.contiguous(), without.vectors.contiguous()));
}

INSTANTIATE_TEST_SUITE_P(Problems, KrylovBasisProblems, ::testing::ValuesIn(linear_problems()),
                         linear_problem_name);

TEST(KrylovBasisTest, SpansThePowersOfTheMatrix) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  const auto v = natgrad::krylov_basis(from_dense(a), b, 6).vectors;
  ASSERT_EQ(v.size(1), 6);
  auto power = b;
  for (int k = 0; k < 6; ++k) {
    EXPECT_LT(outside(v, power), kProjection) << "A^" << k << " b";
    power = a.mv(power);
  }
  EXPECT_GT(outside(v, power), 1e-6);  // A⁶b is not in it
}

TEST(KrylovBasisTest, SpansThePowersOfThePreconditionedMatrix) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 3);
  const auto b = randn({20}, 2);
  const auto v = natgrad::krylov_basis(from_dense(a), b, 5, {}, from_dense(m)).vectors;
  EXPECT_LT(defect(v), 5 * kOrthonormal);
  auto power = m.mv(b);
  for (int k = 0; k < 5; ++k) {
    EXPECT_LT(outside(v, power), kProjection) << "(MA)^" << k << " M b";
    power = m.mv(a.mv(power));
  }
}

TEST(KrylovBasisTest, EndsWhereNothingIsNew) {
  const auto identity = from_dense(torch::eye(9, torch::kDouble));
  const auto b = randn({9}, 1), zero = torch::zeros({9}, torch::kDouble);
  const auto size = [&](const Tensor& first, const Tensor& previous) {
    return natgrad::krylov_basis(identity, first, 5, previous).vectors.size(1);
  };
  EXPECT_EQ(size(b, {}), 1);
  EXPECT_EQ(size(b, randn({9}, 2)), 2);
  EXPECT_EQ(size(b, -3 * b), 1);
  EXPECT_EQ(size(b, zero), 1);
  EXPECT_EQ(size(zero, {}), 0);
  EXPECT_EQ(size(zero, b), 1);
  const auto three = symmetric_with_spectrum(torch::tensor({1.0, 2.0, 3.0}).repeat({4}), 3);
  EXPECT_EQ(natgrad::krylov_basis(from_dense(three), randn({12}, 4), 8).vectors.size(1), 3);
}

TEST(KrylovBasisTest, EndsBeforeAProductThatIsNotFinite) {
  const auto a = random_spd(10, 100, 1);
  const auto b = randn({10}, 2);
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    int64_t count = 0;
    const LinearOperator spoiled("spoiled", 10, a.options(), [&](const Tensor& v) {
      auto product = a.mv(v);
      if (++count == 3) product[4] = bad;
      return product;
    });
    const auto basis = natgrad::krylov_basis(spoiled, b, 6);
    EXPECT_FALSE(basis.finite);
    EXPECT_EQ(basis.products, 3);
    EXPECT_EQ(basis.vectors.size(1), 2);
    EXPECT_LT(length(basis.projected - basis.vectors.t().mm(a).mm(basis.vectors)), kRounding);
    count = 0;
    const auto [x, summary, snapshots, subspace, in_rows] = of_dimension(6).solve(spoiled, b);
    EXPECT_EQ(summary.termination, Termination::NonFinite);
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, 2)), kProjection);
  }
}

TEST(KrylovSubspaceTest, TheSolutionComesWithItsBasis) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 3);
  const auto b = randn({20}, 2), previous = randn({20}, 4);
  const LinearSystem system{from_dense(a), b, previous, from_dense(m)};
  const auto solution = of_dimension(5).solve(system);
  const auto expected = natgrad::krylov_basis(from_dense(a), b, 5, previous, from_dense(m));
  ASSERT_TRUE(solution.basis);
  EXPECT_TRUE(identical(solution.basis->vectors, expected.vectors));
  EXPECT_TRUE(identical(solution.basis->projected, expected.projected));
  EXPECT_LT(outside(solution.basis->vectors, solution.x), kRounding);
}

TEST(KrylovSubspaceTest, WithoutAStepThereIsABasisAllTheSame) {
  const auto a = random_spd(5, 10, 2);
  const auto b = randn({5}, 1), zero = torch::zeros({5}, torch::kDouble);
  const double nan = std::nan("");
  const auto columns = [](const LinearSystem& system) {
    const auto basis = of_dimension(3).solve(system).basis;
    return basis ? basis->vectors.size(1) : -1;
  };
  EXPECT_EQ(columns({from_dense(-a), b}), 3);
  EXPECT_EQ(columns({from_dense(a), zero}), 0);
  EXPECT_EQ(columns({from_dense(a), nan * b}), 0);
  EXPECT_EQ(columns({from_dense(a), b, nan * b}), 0);
}

TEST(KrylovSubspaceTest, IsAsManyIterationsOfConjugateGradients) {
  for (const double condition : {10.0, 100.0, 1000.0}) {
    const auto a = random_spd(20, condition, 1);
    const auto b = randn({20}, 2);
    for (const int64_t k : {1, 2, 5, 8}) {
      const auto [x, summary, snapshots, basis, in_rows] = of_dimension(k).solve(from_dense(a), b);
      EXPECT_LT(relative_error(x, iterations(k).solve(from_dense(a), b).x), kProjection)
          << condition << ", " << k;
      EXPECT_LT(relative_error(x, krylov_minimiser(a, b, k)), kProjection);
      EXPECT_EQ(summary.termination, Termination::IterationLimit);
      EXPECT_EQ(summary.iterations, k);
      EXPECT_EQ(summary.products, k + 1);
    }
  }
}

TEST(KrylovSubspaceTest, WithAPreconditionerToo) {
  const auto a = random_spd(20, 100, 1), m = random_spd(20, 10, 3);
  const auto b = randn({20}, 2);
  for (const int64_t k : {1, 3, 6}) {
    const auto x = of_dimension(k).solve({from_dense(a), b, {}, from_dense(m)}).x;
    EXPECT_LT(relative_error(x, krylov_minimiser(a, b, k, torch::zeros_like(b), m)), kProjection);
  }
}

TEST(KrylovSubspaceTest, ThePreviousDirectionNeverMakesItWorse) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2);
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto previous = randn({20}, seed + 30);
    for (const int64_t k : {1, 3, 7}) {
      const auto x = of_dimension(k).solve({from_dense(a), b, previous}).x;
      const auto spanned = torch::cat({krylov_basis(a, b, k), previous.unsqueeze(1)}, 1);
      const auto q = std::get<0>(torch::linalg_qr(spanned));
      EXPECT_LT(relative_error(x, minimiser(a, b, q)), 10 * kProjection);
      EXPECT_LT(quadratic(a, b, x), quadratic(a, b, krylov_minimiser(a, b, k)));
      EXPECT_LT(quadratic(a, b, x), quadratic(a, b, previous));
    }
  }
}

TEST(KrylovSubspaceTest, TheSolutionAsPreviousDirectionIsFound) {
  const auto a = random_spd(30, 1e3, 1);
  const auto exact = randn({30}, 2);
  const auto [x, summary, snapshots, basis, in_rows] =
      of_dimension(1).solve({from_dense(a), a.mv(exact), -0.1 * exact});
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_LT(relative_error(x, exact), 10 * kProjection);
}

TEST(KrylovSubspaceTest, OfTheWholeSpaceItSolves) {
  const auto a = random_spd(12, 1e3, 1);
  const auto exact = randn({12}, 2);
  const auto b = a.mv(exact);
  const auto [x, summary, snapshots, basis, in_rows] = of_dimension(50).solve(from_dense(a), b);
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.iterations, 12);
  EXPECT_LT(relative_error(x, exact), 1e3 * kRounding);
  EXPECT_NEAR(summary.residual, residual_norm(a, b, x), kRounding * length(x));
  EXPECT_NEAR(summary.quadratic, quadratic(a, b, x), kRounding * std::abs(quadratic(a, b, x)));
  EXPECT_NEAR(summary.right_hand_side, length(b), kRounding * length(b));
}

/// U max(Λ, ε max Λ)⁻¹ Uᵀb: the same in every basis of the whole space.
Tensor floored_solution(const Tensor& a, const Tensor& b, double floor) {
  const auto [values, vectors] = torch::linalg_eigh(a);
  const auto along = vectors.t().mv(b);
  return vectors.mv(along / torch::maximum(values, floor * values.max()));
}

// The residual differs from ‖b - A x‖ = 0 then, and φ is that of A itself.
TEST(KrylovSubspaceTest, EigenvaluesBelowTheFloorAreRaisedToIt) {
  const auto b = randn({12}, 2);
  const auto indefinite = symmetric_with_spectrum(torch::linspace(-2, 3, 12, torch::kDouble), 3);
  const std::vector<Tensor> matrices = {random_spd(12, 1e6, 1), indefinite};
  for (const auto& a : matrices) {
    for (const double floor : {1e-4, 1e-2, 0.3}) {
      const auto [x, summary, snapshots, basis, in_rows] =
          of_dimension(12).floor(floor).solve(from_dense(a), b);
      const auto expected = floored_solution(a, b, floor);
      EXPECT_LT(relative_error(x, expected), 1e-2 * kProjection / floor) << floor;
      EXPECT_LT(summary.quadratic, 0);
      EXPECT_NEAR(summary.quadratic / quadratic(a, b, expected), 1, kProjection / floor);
      EXPECT_NEAR(summary.residual / residual_norm(a, b, expected), 1, kProjection / floor);
      EXPECT_EQ(summary.termination, length(a - indefinite) == 0 ? Termination::NegativeCurvature
                                                                 : Termination::IterationLimit);
    }
  }
}

TEST(KrylovSubspaceTest, AFloorOfOneIsAGradientStep) {
  const auto a = random_spd(12, 1e2, 1);
  const auto b = randn({12}, 2);
  const auto x = of_dimension(12).floor(1).solve(from_dense(a), b).x;
  EXPECT_LT(relative_error(x, b), kProjection);  // the largest eigenvalue is 1
}

TEST(KrylovSubspaceTest, TheFlooredMatrixHasTheFlooredSpectrum) {
  const auto spectrum = torch::tensor({-3.0, 1e-9, 0.5, 2.0, 10.0}, torch::kDouble);
  const auto a = symmetric_with_spectrum(spectrum, 1);
  const auto floored = floor_eigenvalues(a, 0.01);
  const auto values = torch::linalg_eigvalsh(floored);
  EXPECT_LT(relative_error(values, torch::tensor({0.1, 0.1, 0.5, 2.0, 10.0}, torch::kDouble)),
            kRounding);
  EXPECT_LT(length(floored.mm(a) - a.mm(floored)), kRounding * 100);  // the same eigenvectors
}

TEST(KrylovSubspaceTest, WithoutAPositiveEigenvalueThereIsNoStep) {
  const auto b = randn({5}, 1);
  const auto negative = of_dimension(3).solve(from_dense(-random_spd(5, 10, 2)), b);
  EXPECT_EQ(negative.summary.termination, Termination::NegativeCurvature);
  EXPECT_EQ(length(negative.x), 0);
  const auto zero = of_dimension(3).solve(from_dense(torch::zeros({5, 5}, torch::kDouble)), b);
  EXPECT_EQ(zero.summary.termination, Termination::Breakdown);
  EXPECT_EQ(length(zero.x), 0);
  EXPECT_NEAR(zero.summary.residual, length(b), kRounding);
}

TEST(KrylovSubspaceTest, ASemidefiniteMatrixIsNotCalledIndefinite) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto u = randn({10, 4}, seed);
    const auto summary = of_dimension(10).solve(from_dense(u.mm(u.t())), randn({10}, 50)).summary;
    EXPECT_EQ(summary.termination, Termination::IterationLimit) << to_string(summary.termination);
    EXPECT_LT(summary.quadratic, 0);
  }
}

TEST(KrylovSubspaceTest, WhatIsNotFiniteIsSaidToBe) {
  const auto a = random_spd(4, 10, 1);
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto spoiled = randn({4}, 2);
    spoiled[2] = bad;
    const auto by_b = KrylovSubspace().solve(from_dense(a), spoiled);
    EXPECT_EQ(by_b.summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(by_b.x), 0);
    const auto by_previous = KrylovSubspace().solve({from_dense(a), randn({4}, 3), spoiled});
    EXPECT_EQ(by_previous.summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(by_previous.x), 0);
    const auto by_matrix = KrylovSubspace().solve(from_dense(bad * a), randn({4}, 3));
    EXPECT_EQ(by_matrix.summary.termination, Termination::NonFinite);
    EXPECT_EQ(length(by_matrix.x), 0);
  }
}

// In float32 ‖b‖² over- and underflows at these sizes.
TEST(KrylovSubspaceTest, TheSizeOfTheProblemDoesNotMatterInFloat32) {
  constexpr double kFloat = 1e-4;
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2), previous = randn({20}, 3);
  const auto plain = of_dimension(6).solve({from_dense(a), b, previous}).x;
  for (const double size : {1e-25, 1.0, 1e25}) {
    const auto narrow = [&](const Tensor& t) { return (size * t).to(torch::kFloat); };
    const auto [x, summary, snapshots, basis, in_rows] =
        of_dimension(6).solve({from_dense(a.to(torch::kFloat)), narrow(b), narrow(previous)});
    EXPECT_EQ(x.scalar_type(), torch::kFloat);
    EXPECT_EQ(summary.iterations, 7);
    EXPECT_LT(relative_error(x.to(torch::kDouble) / size, plain), kFloat) << size;
  }
}

// And in double at these.
TEST(KrylovSubspaceTest, TheSizeOfTheVectorsDoesNotMatter) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2), previous = randn({20}, 3);
  const auto plain = of_dimension(6).solve({from_dense(a), b, previous}).x;
  for (const double size : {1e-200, 1e200}) {
    const auto x = of_dimension(6).solve({from_dense(a), size * b, previous / size}).x;
    EXPECT_LT(relative_error(x / size, plain), kProjection) << size;
  }
}

TEST(KrylovSubspaceTest, AZeroRightHandSideTakesNoProduct) {
  const auto zero = torch::zeros({5}, torch::kDouble);
  const auto [x, summary, snapshots, basis, in_rows] =
      KrylovSubspace().solve({from_dense(random_spd(5, 10, 1)), zero, randn({5}, 2)});
  EXPECT_EQ(summary.termination, Termination::Converged);
  EXPECT_EQ(summary.products, 0);
  EXPECT_EQ(length(x), 0);
}

TEST(KrylovSubspaceTest, BadArgumentsThrow) {
  const auto a = from_dense(torch::eye(3, torch::kDouble));
  const auto b = torch::ones({3}, torch::kDouble);
  const double nan = std::nan("");
  expect_error([&] { of_dimension(0).solve(a, b); }, "dimension");
  expect_error([&] { of_dimension(0).clone(); }, "dimension");
  expect_error([&] { natgrad::krylov_basis(a, b, 0); }, "dimension");
  for (const double bad : {0.0, -0.1, 1.1, nan}) {
    expect_error([&] { KrylovSubspace().floor(bad).solve(a, b); }, "floor");
    expect_error([&] { floor_eigenvalues(torch::eye(2), bad); }, "floor");
  }
  for (const double bad : {-0.1, 1.0, nan}) {
    expect_error([&] { KrylovSubspace().tolerance(bad).solve(a, b); }, "tolerance");
  }
  expect_error([&] { floor_eigenvalues(-torch::eye(2), 0.1); }, "positive eigenvalue");
  expect_error([&] { natgrad::krylov_basis(a, nan * b, 2); }, "not finite");
  expect_error([&] { natgrad::krylov_basis(a, b, 2, nan * b); }, "not finite");
  expect_error([&] { natgrad::krylov_basis(a, torch::ones({4}, torch::kDouble), 2); },
               "right-hand side");
  expect_error([&] { natgrad::krylov_basis(a, b, 2, torch::ones({4}, torch::kDouble)); },
               "initial");
  for (const double bad : {-1.0, 0.0, nan}) {
    const auto m = natgrad::diagonal_operator(torch::full({3}, bad, torch::kDouble));
    expect_error([&] { KrylovSubspace().solve({a, b, {}, m}); }, "not positive definite");
  }
}

TEST(KrylovSubspaceTest, TextTellsEverySettingApartAndCloneKeepsThem) {
  const auto text = KrylovSubspace().describe();
  EXPECT_NE(text, of_dimension(21).describe());
  EXPECT_NE(text, KrylovSubspace().floor(2e-4).describe());
  EXPECT_NE(text, KrylovSubspace().tolerance(1e-5).describe());
  EXPECT_EQ(of_dimension(3).clone()->describe(), of_dimension(3).describe());
}

TEST(KrylovSubspaceTest, LeavesItsInputsAlone) {
  const auto b = randn({5}, 1), previous = randn({5}, 2);
  const auto kept = b.clone(), kept_previous = previous.clone();
  KrylovSubspace().solve({from_dense(random_spd(5, 10, 3)), b, previous}).x.fill_(7);
  EXPECT_TRUE(identical(b, kept));
  EXPECT_TRUE(identical(previous, kept_previous));
}

}  // namespace
}  // namespace natgrad::testing::krylov_subspace_test
