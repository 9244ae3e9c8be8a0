#include <natgrad/solvers/conjugate_gradients.h>

#include "support/linear_problems.h"

// Fault 10: in float32 ‖b‖² overflows from 1e19 on and underflows below 1e-19. Neither the size of
// b nor that of A may change what the solver does.

namespace natgrad::testing::conjugate_gradients_scaling_test {
namespace {

// Different scalings round differently; the solution at condition number 100 and tolerance 1e-5
// repeats to their product.
constexpr double kSolution = 1e-3;
// Sums over the vector in float32.
constexpr double kSummary = 1e-4;

struct Scales {
  const char* name;
  double matrix, right_hand_side;
};

std::ostream& operator<<(std::ostream& out, const Scales& scales) { return out << scales.name; }

class ConjugateGradientScales : public ::testing::TestWithParam<Scales> {
 protected:
  Solution solve(double matrix, double right_hand_side, bool warm, int64_t check_interval) const {
    const auto b = (right_hand_side * b_).to(torch::kFloat);
    const auto initial = warm ? (right_hand_side / matrix * x0_).to(torch::kFloat) : Tensor();
    const auto solver = ConjugateGradient().tolerance(1e-5).max_iterations(200);
    return ConjugateGradient(solver)
        .check_interval(check_interval)
        .solve({from_dense((matrix * a_).to(torch::kFloat)), b, initial});
  }

  const Tensor a_ = random_spd(20, 100, 1);
  const Tensor b_ = a_.mv(randn({20}, 2));
  const Tensor x0_ = randn({20}, 3);
};

TEST_P(ConjugateGradientScales, SolutionsAndSummariesScaleAlong) {
  const auto [name, matrix, right_hand_side] = GetParam();
  for (const bool warm : {false, true}) {
    for (const int64_t interval : {1, 4}) {
      const auto plain = solve(1, 1, warm, interval);
      const auto scaled = solve(matrix, right_hand_side, warm, interval);
      const double solution = right_hand_side / matrix;
      ASSERT_EQ(plain.summary.termination, Termination::Converged);
      EXPECT_EQ(scaled.summary.termination, Termination::Converged)
          << to_string(scaled.summary.termination);
      EXPECT_LT(relative_error(scaled.x.to(torch::kDouble) / solution, plain.x), kSolution);
      EXPECT_NEAR(
          scaled.summary.right_hand_side / (right_hand_side * plain.summary.right_hand_side), 1,
          kSummary);
      const double quadratic = right_hand_side * solution * plain.summary.quadratic;
      EXPECT_NEAR(scaled.summary.quadratic / quadratic, 1, kSolution);
      EXPECT_LE(scaled.summary.residual, 1.01e-5 * scaled.summary.right_hand_side);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Scales, ConjugateGradientScales,
    ::testing::Values(Scales{"LargeRightHandSide", 1, 1e25}, Scales{"SmallRightHandSide", 1, 1e-25},
                      Scales{"LargeMatrix", 1e25, 1}, Scales{"SmallMatrix", 1e-25, 1},
                      Scales{"LargeBoth", 1e25, 1e25}, Scales{"SmallBoth", 1e-25, 1e-25},
                      Scales{"LargeMatrixSmallRightHandSide", 1e10, 1e-20}),
    [](const auto& info) { return info.param.name; });

// A power of two changes no digit, at any scale that floats can hold.
TEST(ConjugateGradientScalingTest, PowersOfTwoScaleBitwise) {
  const auto a = random_spd(20, 100, 1).to(torch::kFloat);
  const auto b = randn({20}, 2).to(torch::kFloat);
  const double factor = std::ldexp(1, 80);
  const auto solver = ConjugateGradient().tolerance(1e-5).max_iterations(50);
  const auto plain = solver.solve(from_dense(a), b);
  EXPECT_TRUE(identical(solver.solve(from_dense(a), b * factor).x, plain.x * factor));
  EXPECT_TRUE(identical(solver.solve(from_dense(a), b / factor).x, plain.x / factor));
  EXPECT_TRUE(identical(solver.solve(from_dense(a * factor), b).x, plain.x / factor));
  EXPECT_TRUE(identical(solver.solve(from_dense(a / factor), b).x, plain.x * factor));
}

// A warm start that is far larger than the solution must not drown it.
TEST(ConjugateGradientScalingTest, AHugeWarmStartIsForgotten) {
  constexpr double kLost = 1e-3;  // 1e-16 of 1e12
  const auto a = random_spd(10, 10, 1);
  const auto b = randn({10}, 2);
  const auto [x, summary, snapshots, basis, in_rows] =
      ConjugateGradient().max_iterations(500).solve({from_dense(a), b, 1e12 * randn({10}, 3)});
  EXPECT_EQ(summary.termination, Termination::Converged) << to_string(summary.termination);
  EXPECT_LT(relative_error(x, torch::linalg_solve(a, b)), kLost);
}

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_scaling_test
