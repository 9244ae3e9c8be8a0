// F_R⁻∇log r of each example, and the bound on M - h (Martens, "New perspectives", section 11), in
// closed form by family. Softmax and the model itself: tests/theory/best_outputs_test.cpp.
#include <natgrad/curvature/best_outputs.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::best_outputs_test_by_family {
namespace {

constexpr double kRounding = 1e-12;

const Tensor kZ = parameter({6, 2}, 1, 0.7);

Tensor sum_of(const Tensor& t) { return t.detach().sum(); }

TEST(BestOutputs, OfGaussiansAreTheErrors) {
  const auto y = randn({6, 2}, 2);
  const LossGraph graph(nll(Gaussian(kZ, 0.3), y), {kZ});
  EXPECT_LT(relative_error(best_outputs(graph)[0], y - kZ), kRounding);
  const auto expected = -0.5 * sum_of((y - kZ).square() / 0.3) / 6;
  EXPECT_NEAR(bound(graph) / expected.item<double>(), 1, kRounding);
}

TEST(BestOutputs, OfCountsAndCoins) {
  const auto counts = torch::poisson(torch::full({6, 2}, 3., torch::kDouble), seeded(3));
  const LossGraph of_counts(nll(Poisson(kZ), counts), {kZ});
  EXPECT_LT(relative_error(best_outputs(of_counts)[0], counts / kZ.exp() - 1), kRounding);

  const auto coins = (randn({6, 2}, 4) > 0).to(torch::kDouble);
  const LossGraph of_coins(nll(Bernoulli(kZ), coins), {kZ});
  const auto p = kZ.sigmoid();
  EXPECT_LT(relative_error(best_outputs(of_coins)[0], (coins - p) / (p * (1 - p))), kRounding);
  const auto r = torch::where(coins > 0, p, 1 - p);  // of what was seen
  const auto expected = -0.5 * sum_of((1 - r) / r) / 6;
  EXPECT_NEAR(bound(of_coins) / expected.item<double>(), 1, kRounding);
}

// F_R = diag(e^{-2s}, 2): the step in the mean is the error, whatever σ is.
TEST(BestOutputs, OfMeanAndSpread) {
  const auto y = randn({6, 1}, 5);
  const LossGraph graph(nll(LogStdGaussian(kZ), y), {kZ});
  const auto mean = kZ.narrow(1, 0, 1), s = kZ.narrow(1, 1, 1);
  const auto squares = (y - mean).square() * (-2 * s).exp();
  EXPECT_LT(relative_error(best_outputs(graph)[0], torch::cat({y - mean, 0.5 * (squares - 1)}, 1)),
            kRounding);
}

TEST(BestOutputs, LeaveOutWhatHasNoWeight) {
  const auto labels = torch::tensor({0, -100, 1, 1, -100, 0});
  const auto weights = torch::tensor({0.2, 0.8}, torch::kDouble);
  const auto loss = torch::cross_entropy_loss(kZ, labels, weights);
  const LossGraph graph(loss, {kZ});
  const auto best = best_outputs(graph)[0];
  EXPECT_EQ(best[1].abs().sum().item<double>() + best[4].abs().sum().item<double>(), 0);
  // -½ Σ s (1 - p_y)/p_y with s = w_y over the sum of those that count, 2·0.2 + 2·0.8.
  const auto p = kZ.detach().softmax(1);
  double expected = 0;
  for (const int64_t i : {0, 2, 3, 5}) {
    const auto y = labels[i].item<int64_t>();
    const double p_y = p[i][y].item<double>();
    expected -= 0.5 * weights[y].item<double>() / 2 * (1 - p_y) / p_y;
  }
  EXPECT_NEAR(bound(graph) / expected, 1, kRounding);
}

// Several terms are each a summand.
TEST(BestOutputs, OfTwoHeads) {
  const auto y = randn({6, 2}, 6);
  const auto coins = (randn({6, 2}, 7) > 0).to(torch::kDouble);
  const auto w = parameter({6, 2}, 8);
  const auto one = [&] { return nll(Gaussian(kZ), y); };
  const auto other = [&] { return nll(Bernoulli(w), coins); };
  const double both = bound(LossGraph(one() + 3 * other(), {kZ, w}));
  const double parts = bound(LossGraph(one(), {kZ})) + 3 * bound(LossGraph(other(), {w}));
  EXPECT_NEAR(both / parts, 1, kRounding);
  EXPECT_EQ(best_outputs(LossGraph(one() + 3 * other(), {kZ, w})).size(), 2);
}

TEST(BestOutputs, AreRefusedWhereThereAreNone) {
  const LossGraph own(outputs(kZ).cosh().mean(), {kZ});
  expect_error([&] { best_outputs(own); }, "needs a likelihood");
  expect_error([&] { bound(own); }, "needs a likelihood");
  const auto coins = (randn({6, 2}, 9) > 0).to(torch::kDouble);
  const auto signs = torch::tensor({1., -1.}, torch::kDouble);
  const LossGraph negative((signs * nll(Bernoulli(kZ), coins, at::Reduction::None)).mean(), {kZ});
  expect_error([&] { bound(negative); }, "weights are negative");
}

}  // namespace
}  // namespace natgrad::testing::best_outputs_test_by_family
