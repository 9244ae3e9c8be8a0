// M(δ) and its least-squares form (Martens, "New perspectives", section 11), against dense
// matrices; and curvatures for which it does not hold. With softmax:
// tests/theory/best_outputs_test.cpp.
#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include "theory/small_network.h"

namespace natgrad::testing::local_model_test {
namespace {

constexpr double kRounding = 1e-11;

/// Two terms of weights 1 and 2 on outputs of one network: counts and coins.
struct LocalModels : ::testing::Test {
  const SmallNetwork network{661, 9, 2};
  const Tensor z = network.forward();
  const Tensor counts = network.targets.narrow(1, 0, 1).exp().round();
  const Tensor coins = (network.targets.narrow(1, 1, 1) > 0).to(torch::kDouble);
  const Tensor h =
      nll(Poisson(z.narrow(1, 0, 1)), counts) + 2 * nll(Bernoulli(z.narrow(1, 1, 1)), coins);
  const LossGraph graph{h, network.parameters};
  const int64_t size = network.theta().numel();

  // By autograd alone: the Hessian in z of both terms, which knows no y, is F_R.
  const Tensor g = gradient_of(h, network.parameters);
  const Tensor F = hessian_of_linearised_model(z, network.parameters, [this](const Tensor& at) {
    const auto a = at.narrow(1, 0, 1), b = at.narrow(1, 1, 1);
    return (a.exp() - counts * a).mean() + 2 * (b.exp().log1p() - coins * b).mean();
  });
};

TEST_F(LocalModels, AreTheQuadratic) {
  for (const uint64_t seed : {1, 2}) {
    const auto delta = randn({size}, seed);
    const double expected = number(0.5 * delta.dot(F.mv(delta)) + g.dot(delta));
    const auto M = quadratic_model(graph);
    EXPECT_NEAR(M.change(delta) / expected, 1, kRounding);
    EXPECT_NEAR(M(delta) / (expected + number(h)), 1, kRounding);
    EXPECT_NEAR(M.slope(delta) / number(g.dot(delta)), 1, kRounding);
    EXPECT_NEAR(M.curvature(delta) / number(delta.dot(F.mv(delta))), 1, kRounding);
    EXPECT_NEAR(least_squares_form(graph, delta) / (expected + number(h)), 1, kRounding);
  }
}

TEST_F(LocalModels, HoldThePenaltiesHessian) {
  const auto& w = network.parameters[0];
  const LossGraph penalised(network.forward().exp().mean() * 0 + h + penalty(w.pow(4).sum()),
                            network.parameters);
  const auto delta = randn({size}, 3);
  const auto along = delta.narrow(0, 0, w.numel());
  const double expected =
      number(0.5 * delta.dot(F.mv(delta)) + g.dot(delta) + (4 * w.pow(3)).flatten().dot(along) +
             6 * w.square().flatten().dot(along.square()));
  EXPECT_NEAR(quadratic_model(penalised).change(delta) / expected, 1, kRounding);
  expect_error([&] { least_squares_form(penalised, delta); }, "the loss has penalties");
  expect_error([&] { check_quadratic_model(penalised); }, "the loss has penalties");
}

TEST_F(LocalModels, AreHeldToSectionEleven) {
  const auto report = check_quadratic_model(graph);
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_LT(report.difference, kRounding);
  EXPECT_GT(report.as_printed, 0.01);  // with the plus
  EXPECT_NEAR(report.bound / bound(graph), 1, kRounding);
  const double best = number(-0.5 * g.dot(torch::linalg_pinv(F, 1e-12, true).mv(g)));
  EXPECT_NEAR(report.gain / best, 1, 1e-3);  // 50 iterations of conjugate gradients
  EXPECT_NEAR(report.share, report.gain / report.bound, kRounding);
  EXPECT_LE(report.share, 1);
  // For these families the generalized Gauss-Newton matrix is the same.
  EXPECT_TRUE(check_quadratic_model(graph, GaussNewton()).holds);
}

// ---- Curvatures that are not F. ----

TEST_F(LocalModels, FailForMatricesThatAreNotTheFisherMatrix) {
  const Metric twice("2F", [](const LossGraph& graph) { return 2. * fisher(graph); });
  const Metric negative("-F", [](const LossGraph& graph) { return -1. * fisher(graph); });
  const Metric one_term("F of the counts", [this](const LossGraph&) {
    const torch::AutoGradMode enable_grad(true);
    return fisher(
        LossGraph(nll(Poisson(network.forward().narrow(1, 0, 1)), counts), network.parameters));
  });
  const Metric tenth("F/10", [](const LossGraph& graph) { return 0.1 * fisher(graph); });
  for (const auto& wrong : {twice.clone(), negative.clone(), one_term.clone(), tenth.clone(),
                            EmpiricalFisher().clone(), Hessian().clone()}) {
    const auto report = check_quadratic_model(graph, *wrong);
    EXPECT_FALSE(report.holds) << report.message();
    EXPECT_GT(report.difference, 1e-3) << report.message();
  }
  // Where the matrix is too small, the bound is broken too.
  EXPECT_GT(check_quadratic_model(graph, tenth).share, 1);
}

// ---- The bound, and ρ. ----

TEST(LocalModelTest, PromisesAllOfTheBoundWhereExamplesHaveParametersOfTheirOwn) {
  const auto z = randn({5, 2}, 1).requires_grad_();
  const LossGraph graph(nll(LogStdGaussian(z), randn({5, 1}, 2)), {z});
  EXPECT_NEAR(check_quadratic_model(graph).share, 1, kRounding);
}

TEST(LocalModelTest, OfScoreRowsKeepsTheBoundThoughItIsNotF) {
  const SmallNetwork network(662, 8, 3);
  const LossGraph graph(torch::cross_entropy_loss(network.forward(), network.labels),
                        network.parameters);
  const auto report = check_quadratic_model(graph, ScoreRows());
  EXPECT_GT(report.difference, 1e-3);
  EXPECT_LE(report.share, 1 + kRounding);
  EXPECT_GT(report.share, check_quadratic_model(graph).share);  // Q ≼ F promises more
}

TEST(LocalModelTest, TellsTheReductionRatio) {
  // 1 where h is quadratic, also with dropped units, which are the same in all calls.
  const auto x = randn({20, 4}, 1), y = randn({20, 3}, 2), delta = randn({12}, 3);
  const auto w = parameter({3, 4}, 4);
  const auto loss = [&] { return nll(Gaussian(torch::dropout(x, 0.3, true).mm(w.t())), y); };
  torch::manual_seed(5);
  const auto M = quadratic_model(LossGraph(loss(), {w}));
  torch::manual_seed(5);
  const auto before = w.detach().clone();
  EXPECT_NEAR(reduction_ratio(M, loss, delta), 1, kRounding);
  EXPECT_TRUE(identical(w.detach(), before));
  // Elsewhere what the loss says over what M does.
  const auto quartic = [&] { return nll(Poisson(x.mm(w.t())), y.exp().round()); };
  const auto N = quadratic_model(LossGraph(quartic(), {w}));
  const auto moved = (w.detach() + 0.1 * delta.view({3, 4})).requires_grad_();
  const double rise = number(nll(Poisson(x.mm(moved.t())), y.exp().round())) - number(quartic());
  EXPECT_NEAR(reduction_ratio(N, quartic, 0.1 * delta) / (rise / N.change(0.1 * delta)), 1,
              kRounding);
}

TEST(LocalModelTest, AreRefusedWithAReason) {
  const SmallNetwork network(663, 4, 2);
  const LossGraph own(outputs(network.forward()).cosh().mean(), network.parameters);
  expect_error([&] { check_quadratic_model(own, GaussNewton()); }, "needs a likelihood");
  const LossGraph graph(torch::cross_entropy_loss(network.forward(), network.labels),
                        network.parameters);
  expect_error([&] { check_quadratic_model(graph, Fisher(), 0); }, "at least one probe");
}

}  // namespace
}  // namespace natgrad::testing::local_model_test
