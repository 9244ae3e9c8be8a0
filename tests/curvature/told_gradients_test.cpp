// ∇h = -Rᵀt where rows have once told another gradient: slots that reach no example, lookups that
// meet at one sum, heads above one another, losses near the edges of float32.

#include <gtest/gtest.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::told_gradients_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;
// Of sums in float32.
constexpr double kRoundingFloat = 1e-4;

Tensor told(const CurvatureAt& at) {
  return -at.matrix.root_form()->root->multiply_transposed(at.targets);
}

void expect_told_by_score_rows(const Tensor& loss, const std::vector<Tensor>& parameters) {
  const LossGraph graph(loss, parameters);
  const auto at = ScoreRowsOrFisher().at(graph);
  ASSERT_EQ(at.choice, "score rows");
  EXPECT_LT(relative_error(told(at), graph.gradient()), kRounding);
}

TEST(ToldGradients, ATaskWithoutExamplesInTheBatchTellsNoOrder) {
  const auto e = parameter({4, 3}, 1), a = parameter({2, 4}, 2), b = parameter({3, 4}, 3);
  const auto steps = randn({5, 6, 3}, 4);  // [time, examples, in]
  const auto h = torch::linear(steps, e).tanh().mean(0);
  const auto y = torch::tensor({0, 1, 1, 0, 1, 0});
  const auto mask = torch::zeros({6}, torch::kDouble);
  const auto each = F::cross_entropy(torch::linear(h, b), y,
                                     F::CrossEntropyFuncOptions().reduction(torch::kNone));
  expect_told_by_score_rows(F::cross_entropy(torch::linear(h, a), y) + (each * mask).mean(),
                            {e, a, b});
}

TEST(ToldGradients, TwoLookupsInOneTableMayMeetAtTheirSum) {
  const auto table = parameter({7, 4}, 1), w = parameter({2, 4}, 2);
  const auto i = torch::tensor({0, 1, 2, 3, 3}), j = torch::tensor({6, 5, 2, 0, 1});
  const auto z = torch::linear(torch::embedding(table, i) + torch::embedding(table, j), w);
  expect_told_by_score_rows(F::mse_loss(z, randn({5, 2}, 3)), {table, w});
}

// The residuals' mean is what the spread is made of, and the other way round.
TEST(ToldGradients, OfASpreadAboveItsMeanAreNotCountedTwice) {
  const auto W = parameter({3, 4}, 1), A = parameter({3, 3}, 2);
  const auto x = randn({6, 4}, 3), y = randn({6, 3}, 4);
  const auto m = torch::linear(x, W);
  const auto s = torch::linear(m, A);
  const auto first_mean = (0.5 * (s + (y - m).pow(2) * torch::exp(-s))).mean();
  const auto first_spread = (0.5 * (m + (y - s).pow(2) * torch::exp(-m))).mean();
  for (const auto& loss : {first_mean, first_spread}) {
    const LossGraph graph(loss, {W, A}, RandomStreams(), Terms::Required, Unread::Substitute);
    const auto at = GradientRows().at(graph);
    EXPECT_LT(relative_error(told(at), graph.gradient()), kRounding);
  }
}

TEST(ToldGradients, AFactorOnTheLossChangesNoStepInFloat32) {
  const auto train = [](double factor) {
    const auto w = randn({3}, 1).to(torch::kFloat).requires_grad_();
    const auto x = randn({8, 3}, 2).to(torch::kFloat), y = randn({8}, 3).to(torch::kFloat);
    NaturalGradient optimizer({w});
    for (int k = 0; k < 3; ++k) optimizer.step(factor * (x.mv(w) - y).pow(4).mean());
    return w.detach().clone();
  };
  const auto plain = train(1);
  for (const double factor : {1e-20, 1e-12, 1e12, 1e18}) {
    EXPECT_LT(relative_error(train(factor), plain), kRoundingFloat) << factor;
  }
}

TEST(ToldGradients, PiecesOfABatchHaveItsCurvature) {
  const auto w = parameter({1, 3}, 1);
  const auto x = randn({64, 3}, 2);
  const auto hinge = [&](const Tensor& x) {
    return torch::clamp_min(1 - torch::linear(x, w), 0).mean();
  };
  const auto trace = [&](const Tensor& loss) {
    const LossGraph graph(loss, {w}, RandomStreams(), Terms::Required, Unread::Substitute);
    return dense(GradientRows().at(graph).matrix).trace().item<double>();
  };
  const double whole = trace(hinge(x));
  const double pieces = trace(0.5 * (hinge(x.narrow(0, 0, 32)) + hinge(x.narrow(0, 32, 32))));
  // Rows of two examples each, whose gradients have a common part: twice the mean's, at most.
  EXPECT_GT(pieces, whole);
  EXPECT_LT(pieces, 3 * whole);
}

}  // namespace
}  // namespace natgrad::testing::told_gradients_test
