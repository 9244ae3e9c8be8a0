#include "libtorch/hooks.h"
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include <torch/csrc/autograd/variable.h>

#include <atomic>
#include <thread>

#include "support/oracles.h"

namespace natgrad::testing::hooks_test {
namespace {

constexpr double kProductOfRoundedFactors = 1e-14;
constexpr int kReadings = 50;  // long enough for the passes of two threads to meet

Census below(const Tensor& loss) { return Census({torch::autograd::impl::gradient_edge(loss)}); }

struct Hooks : ::testing::Test {
  const Tensor x = randn({5, 3}, 1), w = randn({2, 3}, 2).requires_grad_();
  const Tensor z = x.mm(w.t());
  Tensor loss() const { return z.tanh().square().sum(); }
};

TEST_F(Hooks, NoneIsFine) { EXPECT_NO_THROW(check_hooks(below(loss()).nodes)); }

TEST_F(Hooks, OneOnAParameterIsNamedSo) {
  w.register_hook([](Tensor gradient) { return 2 * gradient; });
  expect_error([&] { check_hooks(below(loss()).nodes); }, "a parameter carries a gradient hook");
}

TEST_F(Hooks, OneOnATensorNamesItsNode) {
  z.register_hook([](Tensor gradient) { return 2 * gradient; });
  expect_error([&] { check_hooks(below(loss()).nodes); }, "MmBackward0 carries a gradient hook");
}

TEST_F(Hooks, OneThatWasRemovedIsFine) {
  w.remove_hook(w.register_hook([](Tensor gradient) { return 2 * gradient; }));
  EXPECT_NO_THROW(check_hooks(below(loss()).nodes));
}

/// ∂loss/∂z.
Tensor expected_at(const Tensor& z) { return 2 * z.tanh() * (1 - z.tanh().square()); }

TEST_F(Hooks, RetainGradReceivesNothingOfOwnPasses) {
  z.retain_grad();
  const LossGraph graph(natgrad::outputs(z).tanh().square().sum(), {w});
  graph.gradient();
  graph.multiply_jacobian_transposed(
      graph.multiply_loss_hessian(graph.multiply_jacobian(w.flatten())));
  EXPECT_FALSE(z.grad().defined());
}

// Between the products of an operator that lives, whose passes go on as before.
TEST_F(Hooks, RetainGradReceivesWhatTheUsersOwnBackwardBrings) {
  z.retain_grad();
  const auto objective = natgrad::outputs(z).tanh().square().sum();
  const LossGraph graph(objective, {w}), again(objective, {w});
  const auto G = gauss_newton(graph);
  const auto product = G.multiply(w.detach().flatten());
  objective.backward({}, /*retain_graph=*/true);
  EXPECT_LT(relative_error(z.grad(), expected_at(z)), kProductOfRoundedFactors);
  z.mutable_grad() = Tensor();
  EXPECT_TRUE(identical(G.multiply(w.detach().flatten()), product));
  EXPECT_FALSE(z.grad().defined());
}

TEST_F(Hooks, MarksPassTheUsersOwnBackwardWhileTheLossIsRead) {
  std::atomic<bool> done = false;
  const auto marked = natgrad::outputs(z);
  const auto objective = (natgrad::outputs(marked.tanh()) * marked).square().sum();
  const auto expected = torch::autograd::grad({objective}, {w}, {}, /*retain_graph=*/true)[0];
  std::thread reader([&] {
    for (int i = 0; i < kReadings; ++i) LossGraph(objective, {w}).terms();
    done = true;
  });
  bool same = true;
  while (!done) {
    const auto g = torch::autograd::grad({objective}, {w}, {}, /*retain_graph=*/true)[0];
    same = same && identical(g, expected);
  }
  reader.join();
  EXPECT_TRUE(same);
}

}  // namespace
}  // namespace natgrad::testing::hooks_test
