// Penalties by norms of parameters, at their kink.

#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::kinks_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;

using Penalty = std::function<Tensor(const Tensor& w)>;

struct Kink {
  std::string name;
  Penalty penalty;
};

std::ostream& operator<<(std::ostream& out, const Kink& kink) { return out << kink.name; }

std::vector<Kink> kinks() {
  return {
      {"Norm", [](const Tensor& w) { return w.norm(); }},
      {"NormOfRows", [](const Tensor& w) { return w.norm(2, 1).sum(); }},
      {"VectorNorm", [](const Tensor& w) { return torch::linalg_vector_norm(w, 2); }},
      {"CubicNorm", [](const Tensor& w) { return w.norm(3); }},
      {"SquaredNorm", [](const Tensor& w) { return w.norm().pow(2); }},
  };
}

struct AtZero : ::testing::TestWithParam<Kink> {
  const Tensor x = randn({20, 6}, 1);
  const Tensor w = torch::zeros({2, 3}, torch::kDouble).requires_grad_();

  Tensor loss(const Tensor& penalty) const {
    return F::mse_loss(x.mv(w.flatten()), x.sum(1)) + 0.1 * penalty;
  }
};

TEST_P(AtZero, ThePenaltyHasNoCurvature) {
  const LossGraph graph(loss(GetParam().penalty(w)), {w});
  EXPECT_TRUE(identical(dense(penalty_hessian(graph)), torch::zeros({6, 6}, torch::kDouble)));
}

TEST_P(AtZero, WhatElseIsPenalisedKeepsItsOwn) {
  const LossGraph graph(loss(GetParam().penalty(w) + w.pow(2).sum()), {w});
  EXPECT_LT(relative_error(dense(penalty_hessian(graph)), 0.2 * torch::eye(6, torch::kDouble)),
            kRounding);
}

TEST_P(AtZero, Trains) {
  NaturalGradient optimizer({w}, NaturalGradientOptions(1).damping(Tikhonov(0.1)));
  const double start = loss(GetParam().penalty(w)).item<double>();
  for (int t = 0; t < 20; ++t) {
    optimizer.step(loss(GetParam().penalty(w)));
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
  }
  // Of a fit to weights of one the penalty leaves no more than itself.
  const auto there = torch::ones({2, 3}, torch::kDouble);
  EXPECT_LE(loss(GetParam().penalty(w)).item<double>(),
            loss(GetParam().penalty(there)).item<double>() + loss(0 * w.sum()).item<double>());
  EXPECT_LT(loss(GetParam().penalty(w)).item<double>(), 0.2 * start);
}

INSTANTIATE_TEST_SUITE_P(Penalties, AtZero, ::testing::ValuesIn(kinks()),
                         [](const auto& info) { return info.param.name; });

TEST(KinksTest, RowsThatAreNotZeroKeepTheirCurvature) {
  const auto w = torch::tensor({{3., 4.}, {0., 0.}}, torch::kDouble).requires_grad_();
  const auto x = randn({5, 4}, 2);
  const auto loss = F::mse_loss(x.mv(w.flatten()), x.sum(1)) + w.norm(2, 1).sum();
  const auto H = dense(penalty_hessian(LossGraph(loss, {w})));
  // (I - wwᵀ/|w|²)/|w| of the first row, |w| = 5.
  auto expected = torch::zeros({4, 4}, torch::kDouble);
  expected[0][0] = 16. / 125;
  expected[1][1] = 9. / 125;
  expected[0][1] = expected[1][0] = -12. / 125;
  EXPECT_LT(relative_error(H, expected), kRounding);
}

TEST(KinksTest, NaNThatIsNoKinkIsStillSeen) {
  // √ has no finite slope at zero, and no kink either.
  const auto w = torch::zeros({2}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w});
  const auto x = randn({5, 2}, 3);
  optimizer.step(F::mse_loss(x.mv(w), x.sum(1)) + w.abs().sqrt().sum());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteGradient);
}

}  // namespace
}  // namespace natgrad::testing::kinks_test
