#include "libtorch/hooks.h"
#include <natgrad/graph/loss_graph.h>

#include <optional>

#include "support/oracles.h"

namespace natgrad::testing::hooks_test {
namespace {

struct Hooks : ::testing::Test {
  const Tensor x = randn({5, 3}, 1), w = randn({2, 3}, 2).requires_grad_();
  const Tensor z = x.mm(w.t());
  Tensor loss() const { return z.tanh().square().sum(); }
};

TEST_F(Hooks, NoneIsFine) { EXPECT_NO_THROW(check_hooks(loss())); }

TEST_F(Hooks, OneOnAParameterIsNamedSo) {
  w.register_hook([](Tensor gradient) { return 2 * gradient; });
  expect_error([&] { check_hooks(loss()); }, "a parameter carries a gradient hook");
}

TEST_F(Hooks, OneOnATensorNamesItsNode) {
  z.register_hook([](Tensor gradient) { return 2 * gradient; });
  expect_error([&] { check_hooks(loss()); }, "MmBackward0 carries a gradient hook");
}

TEST_F(Hooks, OneThatWasRemovedIsFine) {
  w.remove_hook(w.register_hook([](Tensor gradient) { return 2 * gradient; }));
  EXPECT_NO_THROW(check_hooks(loss()));
}

TEST_F(Hooks, ASuspendedRetainGradReceivesNothing) {
  z.retain_grad();
  const auto objective = loss();
  const SuspendedRetainGrad suspended(objective);
  objective.backward();
  EXPECT_FALSE(z.grad().defined());
}

TEST_F(Hooks, RetainGradWorksAgainAfterwards) {
  z.retain_grad();
  const auto objective = loss();
  { const SuspendedRetainGrad suspended(objective); }
  objective.backward();
  const auto expected = 2 * z.tanh() * (1 - z.tanh().square());
  EXPECT_LT(relative_error(z.grad(), expected), 1e-14);  // one product of rounded factors
}

}  // namespace
}  // namespace natgrad::testing::hooks_test
