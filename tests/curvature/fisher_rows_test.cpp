#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_rows.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"
#include "support/opaque_ops.h"

// R by bulk against the Fisher matrix by Jacobians row by row, and t by ∇h.

namespace natgrad::testing::fisher_rows_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order.
constexpr double kRounding = 1e-11;

Tensor rows_of(const CurvatureAt& at) { return at.matrix.root_form()->root->matrix(); }

/// Σ JᵀF_R J from the closed forms.
Tensor expected_fisher(const Problem& problem, const LossCase& loss) {
  const auto J = jacobian(flat(problem.outputs), problem.network.parameters);
  return J.t().mm(closed_form_fisher(loss, problem.outputs)).mm(J).detach();
}

struct FisherRowsOfLosses : ::testing::TestWithParam<LossCase> {};

TEST_P(FisherRowsOfLosses, AreTheFisherMatrixAndTellTheGradient) {
  const auto& loss = GetParam();
  const auto problem = make_problem(loss);
  const LossGraph graph(problem.loss, problem.network.parameters);
  if (graph.has_penalties() || graph.negative_weights() > 0) GTEST_FAIL() << "of another kind";
  const auto at = FisherRows().at(graph);
  const auto R = rows_of(at);
  EXPECT_LT(relative_error(R.t().mm(R), expected_fisher(problem, loss)), kRounding);
  ASSERT_TRUE(at.targets.defined());
  EXPECT_LT(relative_error(-R.t().mv(at.targets), graph.gradient()), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, FisherRowsOfLosses, ::testing::ValuesIn(likelihood_losses()),
                         [](const auto& info) { return info.param.name; });

struct FisherRowsOfNetworks : ::testing::TestWithParam<NetworkCase> {};

TEST_P(FisherRowsOfNetworks, AreTheJacobianRowByRow) {
  const auto network = GetParam().make();
  const auto z = network.forward();
  const auto y = randn(z.sizes(), 3);
  const LossGraph graph(F::mse_loss(z, y), network.parameters);
  const auto at = FisherRows().at(graph);
  const double s = 2. / static_cast<double>(z.numel());
  const auto expected =
      std::sqrt(s) * jacobian(z.t().reshape(-1), network.parameters);  // output by output
  EXPECT_LT(relative_error(rows_of(at), expected), kRounding) << at.choice;
  EXPECT_LT(relative_error(at.targets, std::sqrt(s) * (y - z).detach().t().reshape(-1)), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Networks, FisherRowsOfNetworks, ::testing::ValuesIn(networks()),
                         [](const auto& info) { return info.param.name; });

/// 2-5-1 with tanh, and its derivatives by its inputs.
struct Physics {
  std::vector<Tensor> parameters = {parameter({5, 2}, 1), parameter({5}, 2), parameter({1, 5}, 3),
                                    parameter({1}, 4)};
  Tensor inside = randn({9, 2}, 5).requires_grad_(), edge = randn({4, 2}, 6);

  Tensor u(const Tensor& x) const {
    return F::linear(F::linear(x, parameters[0], parameters[1]).tanh(), parameters[2],
                     parameters[3]);
  }
  Tensor laplacian() const {
    const auto derivative = [&](const Tensor& of) {
      return torch::autograd::grad({of.sum()}, {inside}, {}, true, true)[0];
    };
    const auto slope = derivative(u(inside));
    return derivative(slope.select(1, 0)).select(1, 0) +
           derivative(slope.select(1, 1)).select(1, 1);
  }
};

TEST(FisherRowsTest, TakeTermsOfUnequalNumbersWithDerivativesByLayers) {
  const Physics physics;
  const auto r = physics.laplacian() - 1, b = physics.u(physics.edge);
  const LossGraph graph(r.square().mean() + 10 * b.square().mean(), physics.parameters);
  const auto at = FisherRows().at(graph);
  EXPECT_EQ(at.choice, "13 rows by layers");
  const auto expected =
      torch::cat({std::sqrt(2. / 9) * jacobian(r, physics.parameters),
                  std::sqrt(20. / 4) * jacobian(b.reshape(-1), physics.parameters)});
  EXPECT_LT(relative_error(rows_of(at), expected), kRounding);
  EXPECT_LT(relative_error(-rows_of(at).t().mv(at.targets), graph.gradient()), kRounding);
}

TEST(FisherRowsTest, ResidualsAreTheTargetsWithoutTheRows) {
  const Physics physics;
  const LossGraph graph(physics.laplacian().square().mean(), physics.parameters);
  EXPECT_TRUE(identical(FisherRows().residuals(graph), FisherRows().at(graph).targets));
  const auto b = physics.u(physics.edge);
  const LossGraph other(F::binary_cross_entropy_with_logits(b, torch::ones_like(b)),
                        physics.parameters);
  EXPECT_FALSE(FisherRows().residuals(other).defined()) << "no squared errors";
}

TEST(FisherRowsTest, OfFewParametersInOtherOpsAreProductsOfJ) {
  auto b = randn({3}, 1).requires_grad_();
  const auto x = randn({20}, 2);
  const auto z = b[0] * (b[1] * x).exp() + b[2];
  const auto at = FisherRows().at(LossGraph(F::mse_loss(z, x), {b}));
  EXPECT_EQ(at.choice, "20 rows by products J v");
  EXPECT_LT(relative_error(rows_of(at), std::sqrt(0.1) * jacobian(z, {b})), kRounding);
}

TEST(FisherRowsTest, OfManyParametersInOtherOpsAreBackwardPasses) {
  auto w = randn({40}, 1).requires_grad_();
  const auto z = (randn({6, 40}, 2) * w.square()).sum(1);
  const auto at = FisherRows().at(LossGraph(F::mse_loss(z, randn({6}, 3)), {w}));
  EXPECT_EQ(at.choice, "6 rows by backward passes");
  EXPECT_LT(relative_error(rows_of(at), std::sqrt(1. / 3) * jacobian(z, {w})), kRounding);
}

TEST(FisherRowsTest, NeedNoSecondDerivativeOfAnyOp) {
  auto b = randn({2}, 1).requires_grad_();
  const auto x = randn({20}, 2);
  const auto z = torch::cdist((b[0] * x + b[1]).unsqueeze(1), randn({1, 1}, 3)).squeeze(1);
  const auto at = FisherRows().at(LossGraph(F::mse_loss(z, x), {b}));
  EXPECT_LT(relative_error(rows_of(at), std::sqrt(0.1) * jacobian(z, {b})), kRounding);
}

TEST(FisherRowsTest, OfExamplesThatTheNetworkCouplesAreThoseOfAllInputs) {
  auto W = randn({3, 2}, 1).requires_grad_();
  const auto hidden = F::linear(randn({7, 2}, 2), W);
  const auto z = (hidden - hidden.mean(0)).square();  // as batch normalisation couples them
  const auto y = randn({7, 3}, 3);
  const auto at = FisherRows().at(LossGraph(F::mse_loss(z, y), {W}));
  EXPECT_LT(relative_error(rows_of(at), std::sqrt(2. / 21) * jacobian(z.t().reshape(-1), {W})),
            kRounding);
}

TEST(FisherRowsTest, RefuseWhatTheyCannotTell) {
  auto w = randn({3}, 1).requires_grad_();
  const auto x = randn({5, 3}, 2);
  const auto z = x.mv(w);
  const auto marked = outputs(x.mv(w));
  expect_error([&] { FisherRows().at(LossGraph(marked.cosh().sum(), {w})); }, "likelihood");
  const auto weights = torch::tensor({1., -1., 1., 1., 1.}, torch::kDouble);
  const auto signed_loss =
      (weights * F::mse_loss(z, torch::ones_like(z), F::MSELossFuncOptions(torch::kNone))).sum();
  expect_error([&] { FisherRows().at(LossGraph(signed_loss, {w})); }, "negative");
}

}  // namespace
}  // namespace natgrad::testing::fisher_rows_test
