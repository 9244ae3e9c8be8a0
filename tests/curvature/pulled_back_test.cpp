// JᵀAJ for any A on the outputs (Martens, "New perspectives", section 10).
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::pulled_back_test {
namespace {

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;

/// Two heads of [5, 2] and [5, 3] on one layer of tanh units, each with a loss of the user's own.
struct PulledBack : ::testing::Test {
  const std::vector<Tensor> parameters = {parameter({4, 3}, 1), parameter({2, 4}, 2),
                                          parameter({3, 4}, 3)};
  const Tensor hidden = randn({5, 3}, 4).mm(parameters[0].t()).tanh();
  const Tensor a = hidden.mm(parameters[1].t()), b = hidden.mm(parameters[2].t());
  const LossGraph graph{outputs(a).cosh().mean() + outputs(b).pow(4).mean(), parameters};
  const Tensor J = torch::cat({jacobian(a, parameters), jacobian(b, parameters)});
  const int64_t size = J.size(0), first = a.numel();

  /// A matrix on both outputs, flat, in the order in which the graph has them.
  OutputMap map_of(const Tensor& A) const {
    return [=, this](const std::vector<Tensor>& jv) -> std::vector<Tensor> {
      const bool in_order = jv[0].sizes() == a.sizes();
      const auto u = A.mv(flat({jv[in_order ? 0 : 1], jv[in_order ? 1 : 0]}));
      const auto of_a = u.narrow(0, 0, first).view_as(a);
      const auto of_b = u.narrow(0, first, size - first).view_as(b);
      return in_order ? std::vector{of_a, of_b} : std::vector{of_b, of_a};
    };
  }
};

// A that is not symmetric would show a transposition.
TEST_F(PulledBack, IsJacobiansAroundA) {
  const auto A = randn({size, size}, 5);
  EXPECT_LT(relative_error(dense(pulled_back(graph, map_of(A))), J.t().mm(A).mm(J)), kRounding);
}

TEST_F(PulledBack, KnowsInnerProducts) {
  const auto A = randn({size, size}, 5);
  const auto v = randn({J.size(1)}, 6), w = randn({J.size(1)}, 7);
  const auto JV = J.mm(torch::stack({v, w}, 1));
  const auto expected = JV.t().mm(A).mm(JV);
  EXPECT_LT(relative_error(pulled_back(graph, map_of(A)).inner({v, w}), expected), kRounding);
}

TEST_F(PulledBack, TakesUndefinedForZero) {
  const auto nothing =
      pulled_back(graph, [](const auto& jv) { return std::vector<Tensor>(jv.size()); });
  EXPECT_EQ(dense(nothing).abs().max().item<double>(), 0);
}

TEST_F(PulledBack, IsAMetricForTheOptimizer) {
  // A = I, and a λ that makes it invertible.
  const Metric metric("JᵀJ", [](const LossGraph& graph) {
    return pulled_back(graph, [](const auto& jv) { return jv; });
  });
  const auto before = flat(parameters).detach();
  const auto loss = a.square().mean() + b.square().mean();
  const auto expected = -torch::linalg_solve(
      J.t().mm(J) + 0.3 * torch::eye(J.size(1), torch::kDouble), gradient_of(loss, parameters));
  NaturalGradient optimizer(
      parameters,
      NaturalGradientOptions(1).curvature(metric).damping(Tikhonov(0.3)).solver(tight_solver()));
  optimizer.step(loss);
  EXPECT_LT(relative_error(flat(parameters).detach() - before, expected), kRounding);
}

TEST_F(PulledBack, RefusesWhatIsNoMapOfOutputs) {
  const auto v = randn({J.size(1)}, 8);
  expect_error([&] { pulled_back(graph, nullptr); }, "needs a map A");
  const auto fewer = pulled_back(graph, [](const auto& jv) { return std::vector{jv[0]}; });
  expect_error([&] { fewer.multiply(v); }, "one tensor for each of the 2 outputs");
  const auto sums = pulled_back(graph, [](auto jv) {
    jv[0] = jv[0].sum(1, true);
    return jv;
  });
  expect_error([&] { sums.multiply(v); }, "shaped like the outputs");
  expect_error([&] { sums.inner({v}); }, "shaped like the outputs");
}

}  // namespace
}  // namespace natgrad::testing::pulled_back_test
