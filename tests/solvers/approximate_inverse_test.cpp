#include <natgrad/solvers/approximate_inverse.h>

#include "support/krylov.h"
#include "support/oracles.h"

// x = M b, and what a summary can say of it.

namespace natgrad::testing::approximate_inverse_test {
namespace {

// A few roundings of sums over the vectors.
constexpr double kRounding = 1e-13;

class ApproximateInverseTest : public ::testing::Test {
 protected:
  /// A matrix that nobody may multiply by.
  static LinearOperator untouchable(int64_t size) {
    return {"untouchable", size, torch::kDouble, [](const Tensor& v) {
              ADD_FAILURE() << "a product with A was asked for";
              return v.clone();
            }};
  }

  const Tensor a_ = random_spd(12, 100, 1), m_ = random_spd(12, 10, 3);
  const Tensor b_ = randn({12}, 2);
};

TEST_F(ApproximateInverseTest, MultipliesByThePreconditionerAlone) {
  const auto solution = ApproximateInverse().solve({untouchable(12), b_, {}, from_dense(m_)});
  const auto& summary = solution.summary;
  EXPECT_LT(relative_error(solution.x, m_.mv(b_)), kRounding);
  EXPECT_EQ(summary.termination, Termination::IterationLimit);
  EXPECT_EQ(summary.iterations, 1);
  EXPECT_EQ(summary.products, 0);
  EXPECT_TRUE(std::isnan(summary.residual));
  EXPECT_TRUE(std::isnan(summary.quadratic));
  EXPECT_NEAR(summary.right_hand_side, length(b_), kRounding * length(b_));
}

TEST_F(ApproximateInverseTest, ACheckFillsTheSummary) {
  for (const double size : {1e-150, 1.0, 1e150}) {
    const auto solution =
        ApproximateInverse().check(true).solve({from_dense(a_), size * b_, {}, from_dense(m_)});
    const auto x = m_.mv(b_);
    EXPECT_LT(relative_error(solution.x / size, x), kRounding);
    EXPECT_EQ(solution.summary.products, 1);
    EXPECT_NEAR(solution.summary.residual / size / residual_norm(a_, b_, x), 1, kRounding);
    EXPECT_NEAR(solution.summary.quadratic / size / size / quadratic(a_, b_, x), 1,
                100 * kRounding);
  }
}

TEST_F(ApproximateInverseTest, TheInverseItselfSolves) {
  const auto inverse = torch::linalg_inv(a_);
  const auto solution =
      ApproximateInverse().check(true).solve({from_dense(a_), b_, {}, from_dense(inverse)});
  EXPECT_LT(relative_error(solution.x, torch::linalg_solve(a_, b_)), 100 * kRounding);
  EXPECT_LT(solution.summary.residual, 100 * kRounding * length(b_));
}

TEST_F(ApproximateInverseTest, NeedsAPreconditionerOfTheMatrixSize) {
  EXPECT_TRUE(ApproximateInverse().needs_preconditioner());
  EXPECT_TRUE(ApproximateInverse().uses_preconditioner());
  EXPECT_FALSE(ApproximateInverse().uses_initial());
  expect_error([&] { ApproximateInverse().solve({from_dense(a_), b_}); }, "KroneckerFactored");
  expect_error(
      [&] {
        ApproximateInverse().solve({from_dense(a_), b_, {}, from_dense(random_spd(5, 10, 1))});
      },
      "not of the matrix' size");
}

TEST_F(ApproximateInverseTest, AnIndefinitePreconditionerThrows) {
  const auto zero = torch::zeros({12, 12}, torch::kDouble);
  for (const auto& m : {Tensor(-m_), zero}) {
    expect_error(
        [&] {
          ApproximateInverse().solve({from_dense(a_), b_, {}, from_dense(m)});
        },
        "not positive definite");
  }
}

TEST_F(ApproximateInverseTest, WhatIsNotFiniteGivesNoStep) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    for (const auto& [m, b] : {std::pair{Tensor(bad * m_), b_}, {m_, bad * b_}}) {
      const auto solution = ApproximateInverse().solve({untouchable(12), b, {}, from_dense(m)});
      EXPECT_EQ(solution.summary.termination, Termination::NonFinite);
      EXPECT_EQ(length(solution.x), 0);
    }
  }
}

TEST_F(ApproximateInverseTest, AZeroRightHandSideIsSolved) {
  const auto solution =
      ApproximateInverse().solve({untouchable(12), torch::zeros_like(b_), {}, from_dense(m_)});
  EXPECT_EQ(solution.summary.termination, Termination::Converged);
  EXPECT_EQ(length(solution.x), 0);
}

// In float32 xᵀb over- and underflows at these sizes.
TEST_F(ApproximateInverseTest, TheSizeOfTheProblemDoesNotMatterInFloat32) {
  const auto narrow = [](const Tensor& t) { return t.to(torch::kFloat); };
  for (const double size : {1e-25, 1e25}) {
    const auto solution = ApproximateInverse().check(true).solve(
        {from_dense(narrow(a_)), narrow(size * b_), {}, from_dense(narrow(m_))});
    EXPECT_EQ(solution.x.scalar_type(), torch::kFloat);
    EXPECT_LT(relative_error(solution.x.to(torch::kDouble) / size, m_.mv(b_)), 1e-5);
  }
}

TEST_F(ApproximateInverseTest, TextTellsSettingsApartAndCloneKeepsThem) {
  EXPECT_NE(ApproximateInverse().describe(), ApproximateInverse().check(true).describe());
  const auto clone = ApproximateInverse().check(true).clone();
  EXPECT_EQ(clone->describe(), ApproximateInverse().check(true).describe());
}

}  // namespace
}  // namespace natgrad::testing::approximate_inverse_test
