// A user's loss of a vector of outputs over finitely many labels. What holds of every family is in
// the tests of the table (likelihood_families.h).

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/exp_loss_over_labels.h>

#include "support/dense_oracles.h"
#include "support/user_losses.h"

namespace natgrad::testing::exp_loss_over_labels_test {
namespace {

// Sums of a few terms of order one in double.
constexpr double kRounding = 1e-12;

struct ExpLossOverLabelsTest : ::testing::Test {
  const Tensor z = randn({5, 3}, 1), v = randn({5, 3}, 2);
  const Tensor y = torch::tensor({0, 2, 1, 1, 0});
};

TEST_F(ExpLossOverLabelsTest, OfASoftmaxIsTheCategorical) {
  const ExpLossOverLabels own(z, softmax_loss, 3);
  const Categorical categorical(z);
  EXPECT_LT(relative_error(own.log_prob(y), categorical.log_prob(y)), kRounding);
  EXPECT_LT(relative_error(own.score(y), categorical.score(y)), kRounding);
  EXPECT_LT(relative_error(own.fisher_multiply(v), categorical.fisher_multiply(v)), kRounding);
  EXPECT_TRUE(own.hessian_is_fisher());
}

TEST_F(ExpLossOverLabelsTest, OfALinearMapIsItsPullBack) {
  // z ↦ softmax(Wz) with five labels: F_R = Wᵀ(diag p - p pᵀ)W, and still natural parameters.
  const auto W = randn({3, 5}, 3);
  const auto loss = [&](const Tensor& y, const Tensor& z) { return softmax_loss(y, z.mm(W)); };
  const ExpLossOverLabels own(z, loss, 5);
  const auto expected = Categorical(z.mm(W)).fisher_multiply(v.mm(W)).mm(W.t());
  EXPECT_LT(relative_error(own.fisher_multiply(v), expected), kRounding);
  EXPECT_TRUE(own.hessian_is_fisher());
  EXPECT_FALSE(ExpLossOverLabels(z.narrow(1, 0, 2), mixed_loss, 4).hessian_is_fisher());
}

TEST_F(ExpLossOverLabelsTest, AConstantNormaliserIsTakenOff) {
  // Z = e^1.5 for all z.
  const auto shifted = [](const Tensor& y, const Tensor& z) { return softmax_loss(y, z) - 1.5; };
  const ExpLossOverLabels own(z, shifted, 3);
  EXPECT_LT(relative_error(own.log_prob(y), Categorical(z).log_prob(y)), kRounding);
}

TEST_F(ExpLossOverLabelsTest, DrawsLabelsAsOftenAsTheyAreLikely) {
  constexpr int64_t kDraws = 20000;
  const ExpLossOverLabels own(z.narrow(0, 0, 1).expand({kDraws, 3}).contiguous(), softmax_loss, 3);
  const auto share = torch::bincount(own.sample(seeded(4)), {}, 3).to(torch::kDouble) / kDraws;
  const auto p = z[0].softmax(0);
  const auto deviation = (p * (1 - p) / double(kDraws)).sqrt();
  EXPECT_TRUE((share - p).abs().lt(5 * deviation).all().item<bool>());
}

TEST_F(ExpLossOverLabelsTest, HasTheDivergenceOfItsDistributions) {
  const auto other = randn({5, 3}, 5);
  const auto kl =
      ExpLossOverLabels(z, softmax_loss, 3).kl(ExpLossOverLabels(other, softmax_loss, 3));
  const auto log_p = z.log_softmax(1);
  EXPECT_LT(relative_error(kl, (log_p.exp() * (log_p - other.log_softmax(1))).sum(1)), kRounding);
  const auto two = z.narrow(1, 0, 2);
  expect_error(
      [&] { ExpLossOverLabels(z, softmax_loss, 3).kl(ExpLossOverLabels(two, mixed_loss, 4)); },
      "of one family");
}

TEST_F(ExpLossOverLabelsTest, IsReadOffTheGraph) {
  const auto x = randn({5, 4}, 6), w = randn({3, 4}, 7).requires_grad_();
  const LossGraph graph(nll(ExpLossOverLabels(x.mm(w.t()), softmax_loss, 3), y), {w});
  const LossGraph expected(nll(Categorical(x.mm(w.t())), y), {w});
  EXPECT_LT(relative_error(graph.gradient(), expected.gradient()), kRounding);
  EXPECT_LT(relative_error(dense(fisher(graph)), dense(fisher(expected))), kRounding);
}

TEST_F(ExpLossOverLabelsTest, ALossThatIsNoDistributionIsRefused) {
  // Crammer & Singer's hinge: max over the others of 1 + z_k - z_y.
  const auto hinge = [](const Tensor& y, const Tensor& z) {
    const auto own = z.gather(1, y.unsqueeze(1));
    return (z - own + 1).scatter(1, y.unsqueeze(1), 0).amax(1);
  };
  expect_error([&] { ExpLossOverLabels(z, hinge, 3); }, "not constant");
  const auto none = [](const Tensor&, const Tensor& z) { return z.sum(1) * 0 + HUGE_VAL; };
  expect_error([&] { ExpLossOverLabels(z, none, 3); }, "finite loss");
  const auto nan = [](const Tensor&, const Tensor& z) { return z.sum(1) * std::nan(""); };
  expect_error([&] { ExpLossOverLabels(z, nan, 3); }, "above -∞");
}

TEST_F(ExpLossOverLabelsTest, AMalformedLossOrTargetIsRefused) {
  const auto mean = [](const Tensor& y, const Tensor& z) { return softmax_loss(y, z).mean(); };
  expect_error([&] { ExpLossOverLabels(z, mean, 3); }, "Leave out sums and means");
  // Of all rows together, but of the right shape, and with a constant Z.
  const auto mixing = [](const Tensor& y, const Tensor& z) {
    return softmax_loss(y, z + torch::tensor({1., 2., 3.}, z.options()) * z.mean());
  };
  expect_error([&] { ExpLossOverLabels(z, mixing, 3); }, "mixes the examples");
  const auto w = randn({3}, 8).requires_grad_();
  const auto learnt = [&](const Tensor& y, const Tensor& z) { return softmax_loss(y, z * w); };
  expect_error([&] { ExpLossOverLabels(z, learnt, 3); }, "detach");
  expect_error([&] { ExpLossOverLabels(z, nullptr, 3); }, "needs a function");
  expect_error([&] { ExpLossOverLabels(z, softmax_loss, 1); }, "at least two");
  expect_error([&] { ExpLossOverLabels(z[0], softmax_loss, 3); }, "[N, K]");
  const ExpLossOverLabels own(z, softmax_loss, 3);
  expect_error([&] { own.log_prob(y + 2); }, "label lies in 0..2");
  expect_error([&] { own.log_prob(y.to(torch::kDouble)); }, "int64");
  expect_error([&] { own.log_prob(y.narrow(0, 0, 4)); }, "[5]");
}

TEST_F(ExpLossOverLabelsTest, OutputsThatAreNotFiniteAreLeftOut) {
  const auto diverged = z.clone();
  diverged[2][0] = std::nan("");
  const ExpLossOverLabels own(diverged, softmax_loss, 3);
  const auto product = own.fisher_multiply(v);
  EXPECT_TRUE(product[2].isnan().all().item<bool>());
  EXPECT_LT(relative_error(product[1], Categorical(z).fisher_multiply(v)[1]), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::exp_loss_over_labels_test
