// On residuals that are quadratic in θ, of which the second derivative along δ is known, and by
// which the difference quotient is exact.

#include <natgrad/step_control/geodesic_acceleration.h>

#include "step_control/quadratic_descent.h"

namespace natgrad::testing::geodesic_acceleration_test {
namespace {

// Differences of t over 0.1 δ twice: 200 roundings of t, which is of size 1.
constexpr double kDifference = 1e-12;

/// t(θ) = a - B θ - ½ [θᵀ Q_i θ]_i for [r] residuals of [P] parameters.
struct Residuals final : TrialLosses {
  Tensor a = randn({7}, 1), B = randn({7, 3}, 2), Q = 0.1 * randn({7, 3, 3}, 3);
  Tensor theta = 0.1 * randn({3}, 4);
  bool known = true;

  Tensor t(const Tensor& x) const {
    return a - B.mv(x) - 0.5 * Q.matmul(x).matmul(x.unsqueeze(1)).squeeze(1);
  }
  Tensor R() const { return B + 0.5 * (Q + Q.transpose(1, 2)).matmul(theta); }
  Tensor second(const Tensor& v) const { return -Q.matmul(v).matmul(v.unsqueeze(1)).squeeze(1); }

  double start() override { return at(torch::zeros_like(theta)); }
  double at(const Tensor& d) override { return 0.5 * t(theta + d).square().sum().item<double>(); }
  double at(const Tensor& d, Tensor& g) override {
    g = Tensor();
    return at(d);
  }
  Tensor residuals(const Tensor& d) override { return known ? t(theta + d) : Tensor(); }

  Step choose(StepRule& rule, double lambda) {
    const auto rows = R();
    const auto A = rows.t().mm(rows) + lambda * torch::eye(3, torch::kDouble);
    const auto now = t(theta);
    Solution solution{delta(lambda), {}};
    solution.product_in_rows = rows.mv(solution.x);
    const RowSystem system{now, {}, [&](const Tensor& b) { return solve(lambda, b); }};
    const auto matrix = from_dense(A);
    const auto g = -rows.t().mv(now);
    const DenseModel model(rows.t().mm(rows), g);
    StepProblem problem{start(),  g,       matrix,
                        solution, {},      [](const Tensor& v) { return 0.5 * v; },
                        model,    nullptr, this};
    problem.rows = &system;
    return rule.choose(problem);
  }
  Tensor delta(double lambda) const { return solve(lambda, t(theta)); }
  /// (RᵀR + λI)⁻¹Rᵀ of it.
  Tensor solve(double lambda, const Tensor& right) const {
    const auto rows = R();
    return torch::linalg_solve(rows.t().mm(rows) + lambda * torch::eye(3, torch::kDouble),
                               rows.t().mv(right));
  }
};

Tensor bend(const Residuals& of, const Tensor& delta, double lambda) {
  return of.solve(lambda, of.second(delta));
}

TEST(GeodesicAccelerationTest, BendsTheStepByHalfTheAcceleration) {
  Residuals residuals;
  GeodesicAcceleration rule;
  rule.limit(1e9);
  const double lambda = 0.5;
  const auto step = residuals.choose(rule, lambda);
  const auto delta = residuals.delta(lambda), a = bend(residuals, delta, lambda);
  EXPECT_GT(a.norm().item<double>(), 1e-3 * delta.norm().item<double>()) << "or nothing is tested";
  EXPECT_LT(relative_error(step.displacement, 0.5 * (delta + 0.5 * a)), kDifference * 1e2);
  EXPECT_TRUE(identical(step.kept, residuals.choose(rule, lambda).kept));
}

TEST(GeodesicAccelerationTest, IsJudgedByThePromiseOfTheStraightStepHoweverShort) {
  Residuals residuals;
  GeodesicAcceleration rule;
  rule.limit(1e9);
  auto step = residuals.choose(rule, 0.5);
  const auto straight = 0.5 * residuals.delta(0.5);
  EXPECT_TRUE(identical(step.promised, straight));
  rule.shorten(step, 0.25);
  EXPECT_TRUE(identical(step.promised, 0.25 * straight));
}

TEST(GeodesicAccelerationTest, RefusesWhereTheBendIsLarge) {
  Residuals residuals;
  const auto delta = residuals.delta(0.5), a = bend(residuals, delta, 0.5);
  const double ratio = (2 * a.norm() / delta.norm()).item<double>();
  GeodesicAcceleration below, above;
  below.limit(0.99 * ratio);
  above.limit(1.01 * ratio);
  EXPECT_FALSE(residuals.choose(below, 0.5).displacement.defined());
  EXPECT_FALSE(residuals.choose(below, 0.5).found);
  EXPECT_TRUE(residuals.choose(above, 0.5).displacement.defined());
}

TEST(GeodesicAccelerationTest, GoesStraightWhereResidualsAreNotKnown) {
  Residuals residuals;
  residuals.known = false;
  GeodesicAcceleration rule;
  EXPECT_TRUE(identical(residuals.choose(rule, 0.5).displacement, 0.5 * residuals.delta(0.5)));
  residuals.known = true;
  rule.limit(0);
  EXPECT_TRUE(identical(residuals.choose(rule, 0.5).displacement, 0.5 * residuals.delta(0.5)));
}

}  // namespace
}  // namespace natgrad::testing::geodesic_acceleration_test
