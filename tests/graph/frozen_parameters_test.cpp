#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>

#include "support/oracles.h"

namespace natgrad::testing::frozen_parameters_test {
namespace {

namespace F = torch::nn::functional;

/// A layer whose weight is trained and whose bias is frozen, listed together.
struct FrozenParameters : ::testing::Test {
  const Tensor x = randn({6, 3}, 1), w = randn({4, 3}, 2).requires_grad_(), b = randn({4}, 3);
  const Tensor y = torch::tensor({0, 1, 2, 3, 0, 1});
  Tensor loss() const { return F::cross_entropy(torch::linear(x, w, b), y); }
};

TEST_F(FrozenParameters, HaveAZeroGradient) {
  const LossGraph both(loss(), {w, b}), alone(loss(), {w});
  EXPECT_EQ(both.parameters().size(), 16);
  EXPECT_TRUE(torch::equal(both.gradient().narrow(0, 0, 12), alone.gradient()));
  EXPECT_EQ(both.gradient().narrow(0, 12, 4).abs().max().item<double>(), 0);
}

TEST_F(FrozenParameters, HaveZeroRowsAndColumnsInTheCurvature) {
  const auto both = dense(gauss_newton(LossGraph(loss(), {w, b})));
  const auto alone = dense(gauss_newton(LossGraph(loss(), {w})));
  const auto expected = torch::zeros({16, 16}, torch::kDouble);
  expected.narrow(0, 0, 12).narrow(1, 0, 12).copy_(alone);
  EXPECT_TRUE(torch::equal(both, expected));
}

TEST_F(FrozenParameters, ThatAreAllThereIsThrow) {
  expect_error([&] { LossGraph(loss(), {b}); }, "does not depend on any parameter");
}

}  // namespace
}  // namespace natgrad::testing::frozen_parameters_test
