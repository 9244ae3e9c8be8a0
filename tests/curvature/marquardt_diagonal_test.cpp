#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::marquardt_diagonal_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-13;  // sums of a few dozen terms
constexpr double kSolve = 1e-11;     // a dense solve of condition 1e3, once in other units
constexpr double kNoFloor = 1e-300;  // below every entry

/// z = tanh(x W₁) W₂, the parameters' numbers being `units` times as large.
struct TwoLayers {
  explicit TwoLayers(const Tensor& units = torch::ones({20}, torch::kDouble))
      : first((units.slice(0, 0, 8).view({2, 4}) * randn({2, 4}, 21)).requires_grad_(true)),
        second((units.slice(0, 8).view({4, 3}) * randn({4, 3}, 22)).requires_grad_(true)),
        units(units) {}

  Tensor outputs() const {
    const auto in_units = [&](const Tensor& weights, const Tensor& u) {
      return weights / u.view(weights.sizes());
    };
    const auto h = torch::tanh(randn({6, 2}, 23).mm(in_units(first, units.slice(0, 0, 8))));
    return h.mm(in_units(second, units.slice(0, 8)));
  }
  Tensor loss() const { return F::cross_entropy(outputs(), torch::tensor({0, 1, 2, 0, 1, 2})); }
  LossGraph graph() const { return {loss(), {first, second}}; }

  Tensor first, second, units;
};

Tensor units() { return torch::logspace(-2, 2, 20, 10, torch::kDouble); }

/// -(F + λD)⁻¹ ∇h.
Tensor step(const LossGraph& graph, const Tensor& D) {
  constexpr double kLambda = 0.1;
  return -torch::linalg_solve(dense(fisher(graph)) + kLambda * D, graph.gradient());
}

TEST(MarquardtDiagonalTest, IsTheFisherMatrixsDiagonal) {
  const TwoLayers network;
  const auto graph = network.graph();
  const auto D = dense(MarquardtDiagonal().exact(true).floor(kNoFloor).at(graph));
  EXPECT_LT(relative_error(D, dense(fisher(graph)).diagonal().diag()), kRounding);
}

TEST(MarquardtDiagonalTest, OfALossWithoutALikelihoodIsGaussNewtons) {
  const TwoLayers network;
  const LossGraph graph(outputs(network.outputs()).pow(4).mean(), {network.first, network.second});
  const auto expected = dense(gauss_newton(graph)).diagonal();
  const auto exact = dense(MarquardtDiagonal().exact(true).floor(kNoFloor).at(graph));
  EXPECT_LT(relative_error(exact, expected.diag()), kRounding);
  const auto drawn = dense(MarquardtDiagonal().probes(1000).at(graph)).diagonal();
  EXPECT_LT(relative_error(drawn, expected), 0.2);  // some 1/√1000 a column of J
}

TEST(MarquardtDiagonalTest, ByProbesIsUnbiased) {
  constexpr int64_t kDraws = 800;
  constexpr double kDeviations = 5;
  const TwoLayers network;
  const auto graph = network.graph();
  const auto expected = dense(fisher(graph)).diagonal();
  const auto drawn = dense(MarquardtDiagonal().probes(kDraws).floor(kNoFloor).at(graph)).diagonal();
  const double allowed = kDeviations * std::sqrt(2. / kDraws);
  EXPECT_LT((drawn / expected - 1).abs().max().item<double>(), allowed);
}

TEST(MarquardtDiagonalTest, KeepsTheStepWhateverTheParametersUnits) {
  const TwoLayers plain, scaled(units());
  ASSERT_LT(relative_error(scaled.loss(), plain.loss()), kRounding);
  const auto damping = MarquardtDiagonal().exact(true).floor(kNoFloor);
  const auto a = plain.graph(), b = scaled.graph();
  EXPECT_LT(relative_error(step(b, dense(damping.at(b))) / units(), step(a, dense(damping.at(a)))),
            kSolve);
  // Tikhonov's damping does not.
  const auto identity = torch::eye(20, torch::kDouble);
  EXPECT_GT(relative_error(step(b, identity) / units(), step(a, identity)), 0.1);
}

TEST(MarquardtDiagonalTest, IsNowhereBelowItsFloor) {
  const auto used = parameter({3}, 24), unused = parameter({2}, 25);
  const auto z = randn({6, 3}, 26) * used + 0 * unused.sum();
  const LossGraph graph(F::cross_entropy(z, torch::tensor({0, 1, 2, 0, 1, 2})), {used, unused});
  const auto exact = dense(fisher(graph)).diagonal();
  ASSERT_EQ(exact.slice(0, 3).abs().max().item<double>(), 0);
  const double floor = 1e-3 * exact.max().item<double>();
  const auto expected = exact.clamp_min(floor);
  const auto D = MarquardtDiagonal().exact(true).floor(1e-3).at(graph);
  EXPECT_LT(relative_error(dense(D), expected.diag()), kRounding);
  EXPECT_LT(relative_error(D.solve(exact), exact / expected), kRounding);
}

TEST(MarquardtDiagonalTest, IsTheIdentityWhereNoParameterActs) {
  const auto unused = parameter({2}, 25);
  const auto z = randn({6, 3}, 26) + 0 * unused.sum();
  const LossGraph graph(F::cross_entropy(z, torch::tensor({0, 1, 2, 0, 1, 2})), {unused});
  const auto identity = torch::eye(2, torch::kDouble);
  EXPECT_TRUE(identical(dense(MarquardtDiagonal().exact(true).at(graph)), identity));
  EXPECT_TRUE(identical(dense(MarquardtDiagonal().at(graph)), identity));
}

TEST(MarquardtDiagonalTest, SettingsOutOfRangeThrow) {
  const TwoLayers network;
  const auto graph = network.graph();
  for (const double floor : {0., -1., 2., std::nan("")}) {
    expect_error([&] { MarquardtDiagonal().floor(floor).at(graph); }, "floor in (0, 1]");
  }
  expect_error([&] { MarquardtDiagonal().probes(0).at(graph); }, "at least 1");
}

TEST(MarquardtDiagonalTest, DescribesAndCopiesItself) {
  EXPECT_EQ(MarquardtDiagonal().clone()->describe(), "MarquardtDiagonal(probes=8, floor=0.0001)");
  EXPECT_NE(MarquardtDiagonal().exact(true).describe(), MarquardtDiagonal().describe());
  EXPECT_NE(MarquardtDiagonal().floor(1e-4 + 1e-15).describe(), MarquardtDiagonal().describe());
}

}  // namespace
}  // namespace natgrad::testing::marquardt_diagonal_test
