#include <gtest/gtest.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/torch.h>

#include "support/oracles.h"

namespace natgrad::testing::conjugate_gradients_start_test {
namespace {

using torch::Tensor;

// The spectrum spans six decades, so that dot products with A x lose about six of sixteen digits.
constexpr double kStationary = 1e-9, kReported = 1e-6;
// One iteration from a start this near moves x by less.
constexpr double kNear = 1e-3;
// φ at the solution is of order 1e-5, and is computed with x of order one: its rounding.
constexpr double kQuadratic = 1e-14;

double quadratic(const Tensor& A, const Tensor& b, const Tensor& x) {
  return (0.5 * x.dot(A.mv(x)) - b.dot(x)).item<double>();
}

// A start far off in a hundred directions of different curvature: one iteration cannot mend it.
class PoorStart : public ::testing::TestWithParam<int64_t> {
 protected:
  const Tensor curvatures_ = torch::logspace(0, -6, 100, 10, torch::kDouble);
  const Tensor A_ = symmetric_with_spectrum(curvatures_, 1);
  const Tensor b_ = 1e-6 * randn({100}, 2);
  const Tensor start_ = randn({100}, 3);
  const ConjugateGradient solver_ =
      ConjugateGradient().max_iterations(1).check_interval(GetParam());
};

TEST_P(PoorStart, NeverEndsWorseThanZero) {
  const auto [x, summary, snapshots, basis, in_rows] = solver_.solve({from_dense(A_), b_, start_});
  EXPECT_EQ(summary.termination, Termination::IterationLimit);
  EXPECT_LE(quadratic(A_, b_, x), 0);
}

TEST_P(PoorStart, EndsAtTheBestMultipleAndReportsIt) {
  const auto [x, summary, snapshots, basis, in_rows] = solver_.solve({from_dense(A_), b_, start_});
  // At the minimum over the multiples of x, xᵀ(A x - b) = 0.
  const Tensor residual = b_ - A_.mv(x);
  const double size = (x.norm() * b_.norm()).item<double>();
  EXPECT_LE(std::abs(x.dot(residual).item<double>()), kStationary * size);
  EXPECT_NEAR(summary.residual / residual.norm().item<double>(), 1, kReported);
  EXPECT_NEAR(summary.quadratic, quadratic(A_, b_, x), kReported * size);
}

TEST_P(PoorStart, AGoodStartIsLeftAsConjugateGradientsLeaveIt) {
  const Tensor solution = torch::linalg_solve(A_, b_);
  const Tensor start = solution + 1e-9 * start_;
  const auto [x, summary, snapshots, basis, in_rows] = solver_.solve({from_dense(A_), b_, start});
  EXPECT_LE(quadratic(A_, b_, x), quadratic(A_, b_, start) + kQuadratic);
  EXPECT_LT(relative_error(x, start), kNear);
}

INSTANTIATE_TEST_SUITE_P(Intervals, PoorStart, ::testing::Values(1, 4));

}  // namespace
}  // namespace natgrad::testing::conjugate_gradients_start_test
