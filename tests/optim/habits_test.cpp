// What people bring from other optimizers.

#include <natgrad/optim/natural_gradient.h>

#include <memory>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"
#include "support/warnings.h"

namespace natgrad::testing::habits_test {
namespace {

namespace F = torch::nn::functional;

// ---- Rates. ----

constexpr const char* kRateTold = "is a rate for Adam";

int warnings_of(const std::vector<NaturalGradientOptions>& groups) {
  Warnings warnings;
  std::vector<torch::optim::OptimizerParamGroup> given;
  for (size_t i = 0; i < groups.size(); ++i) {
    given.emplace_back(std::vector<Tensor>{randn({2}, i).requires_grad_()},
                       std::make_unique<NaturalGradientOptions>(groups[i]));
  }
  NaturalGradient optimizer(given, groups.front());
  return warnings.count(kRateTold);
}

TEST(HabitsTest, ARateOfAdamIsToldOnceWhatItMeansHere) {
  EXPECT_EQ(warnings_of({NaturalGradientOptions(1e-3)}), 1);
  EXPECT_EQ(warnings_of({NaturalGradientOptions(3e-4)}), 1);
  EXPECT_EQ(warnings_of({NaturalGradientOptions().lr(1e-3)}), 1);
}

TEST(HabitsTest, RatesOfAStepAreNot) {
  EXPECT_EQ(warnings_of({NaturalGradientOptions()}), 0);
  EXPECT_EQ(warnings_of({NaturalGradientOptions(0.01)}), 0);
  EXPECT_EQ(warnings_of({NaturalGradientOptions(0)}), 0);  // frozen on purpose
  // A body that learns slower than its head.
  EXPECT_EQ(warnings_of({NaturalGradientOptions(1e-3), NaturalGradientOptions(0.1)}), 0);
}

// ---- Loops. ----

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const std::vector<Tensor>& parameters) {
  return std::make_unique<NaturalGradient>(parameters);
}

TEST(HabitsTest, AnOptimizerFromAFactoryTakesClosuresAndLosses) {
  Training by_closure, by_loss, direct;
  const auto closures = make_optimizer(by_closure.parameters());
  const auto losses = make_optimizer(by_loss.parameters());
  for (int64_t k = 0; k < 3; ++k) {
    torch::optim::Optimizer &first = *closures, &second = *losses;
    first.zero_grad();
    first.step([&] { return by_closure.loss(k); });
    const auto loss = by_loss.loss(k);
    second.step([&] { return loss; });
    direct.good_step();
  }
  EXPECT_TRUE(same_bits(by_closure.theta(), direct.theta()));
  EXPECT_TRUE(same_bits(by_loss.theta(), direct.theta()));
}

TEST(HabitsTest, AccumulatedGradientsAreAnsweredByTheWayToWriteThem) {
  Training training;
  const auto optimizer = make_optimizer(training.parameters());
  for (int64_t k = 0; k < 4; ++k) (training.loss(k) / 4).backward();
  expect_error([&] { optimizer->step(); }, "for a batch in K pieces call step(K,");
}

TEST(HabitsTest, WhatIsWrittenInsteadIsTheWholeBatch) {
  // The mean of four batches' losses, at once and in pieces: one gradient.
  Training pieces, whole;
  pieces.optimizer->step(4, [&](int64_t k) { return pieces.loss(k); });
  whole.optimizer->step(F::cross_entropy(
      torch::cat({whole.outputs(0), whole.outputs(1), whole.outputs(2), whole.outputs(3)}),
      torch::cat(
          {Training::labels(0), Training::labels(1), Training::labels(2), Training::labels(3)})));
  constexpr double kRounding = 1e-12;
  EXPECT_NEAR(pieces.summary().loss, whole.summary().loss, kRounding);
  EXPECT_NEAR(pieces.summary().gradient_norm, whole.summary().gradient_norm, kRounding);
}

TEST(HabitsTest, APartialBatchAtTheEndOfAnEpochIsAStepLikeOthers) {
  Training training;
  double start = 0;
  for (int epoch = 0; epoch < 30; ++epoch) {
    for (int64_t begin = 0; begin < 12; begin += 5) {  // of 5, 5 and 2
      const auto size = std::min<int64_t>(5, 12 - begin);
      training.optimizer->step(
          F::cross_entropy(training.model->forward(Training::inputs(0).narrow(0, begin, size)),
                           Training::labels(0).narrow(0, begin, size)));
      ASSERT_EQ(training.summary().outcome, StepOutcome::Accepted);
    }
    if (epoch == 0) start = training.loss(0).item<double>();
  }
  EXPECT_LT(training.loss(0).item<double>(), 0.5 * start);
}

}  // namespace
}  // namespace natgrad::testing::habits_test
