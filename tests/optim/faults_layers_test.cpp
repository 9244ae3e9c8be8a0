// docs/faults.md, rows 33, 34 and 46: batch normalisation, dropout and kinks.

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_layers_test {
namespace {

namespace F = torch::nn::functional;

// ---- Rows 33 and 34: batch normalisation and dropout. ----

TEST(FaultsLayers, Row33RunningStatisticsMoveAsByOneForwardPass) {
  for (const bool by_name : {true, false}) {
    auto trained = classifier(/*noisy=*/true), passed = classifier(/*noisy=*/true);
    const auto options =
        by_name ? NaturalGradientOptions().module(trained.ptr()) : NaturalGradientOptions();
    NaturalGradient optimizer(trained->parameters(), options);
    torch::manual_seed(1);
    optimizer.step([&] {
      return F::cross_entropy(trained->forward(Training::inputs(0)), Training::labels(0));
    });
    torch::manual_seed(1);
    passed->forward(Training::inputs(0));
    for (size_t i = 0; i < passed->buffers().size(); ++i) {
      EXPECT_TRUE(same_bits(trained->buffers()[i], passed->buffers()[i])) << i;
    }
  }
}

TEST(FaultsLayers, Row33TheEmpiricalFisherMatrixRefusesExamplesThatBatchNormalisationCouples) {
  auto model = classifier(/*noisy=*/true);
  NaturalGradient optimizer(model->parameters(), NaturalGradientOptions()
                                                     .curvature(EmpiricalFisher())
                                                     .damping(Tikhonov(1))
                                                     .module(model.ptr()));
  const Snapshot before(model->parameters(), model.ptr(), &optimizer);
  const auto step = [&] {
    optimizer.step(
        [&] { return F::cross_entropy(model->forward(Training::inputs(0)), Training::labels(0)); });
  };
  expect_error(step, "normalisation");
  before.expect_unchanged();
}

TEST(FaultsLayers, Row34ProductsThroughDropoutRepeatBitForBit) {
  auto model = classifier(/*noisy=*/true);
  const auto loss = F::cross_entropy(model->forward(Training::inputs(0)), Training::labels(0));
  const LossGraph graph(loss, model->parameters());
  const auto F_R = fisher(graph);
  const auto v = randn({F_R.size()}, 1);
  const auto g = graph.gradient(), product = F_R.multiply(v);
  torch::rand({5});
  EXPECT_TRUE(same_bits(F_R.multiply(v), product));
  EXPECT_TRUE(same_bits(graph.gradient(), g));
}

// ---- Row 46: kinks. ----

TEST(FaultsLayers, Row46KinksOfReluAndMaxPoolAreFinite) {
  for (const auto& options :
       {NaturalGradientOptions(), NaturalGradientOptions().curvature(FisherOrGaussNewton())}) {
    // All inputs of the ReLU are exactly zero, all of a maximum equal.
    const auto w = torch::zeros({4, 1, 2, 2}, torch::kDouble).requires_grad_();
    const auto bias = torch::ones({4}, torch::kDouble).requires_grad_();
    const auto x = randn({6, 1, 5, 5}, 1);
    NaturalGradient optimizer({w, bias}, options);
    for (int k = 0; k < 3; ++k) {
      const auto kinked = torch::relu(torch::conv2d(x, w));
      const auto pooled = torch::max_pool2d(kinked, 2).flatten(2).mean(2) + bias;
      optimizer.step(F::cross_entropy(pooled, torch::tensor({0, 1, 2, 0, 1, 0})));
      EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted)
          << optimizer.summary().message();
    }
    EXPECT_TRUE(all_finite(w) && all_finite(bias));
  }
}

}  // namespace
}  // namespace natgrad::testing::faults_layers_test
