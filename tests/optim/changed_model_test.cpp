#include <natgrad/optim/natural_gradient.h>
#include "optim/trainable.h"

#include "support/oracles.h"

namespace natgrad::testing::changed_model_test {
namespace {

namespace F = torch::nn::functional;

struct ChangedModel : ::testing::Test {
  torch::nn::Sequential model{torch::nn::Linear(3, 5), torch::nn::Tanh(), torch::nn::Linear(5, 2)};
  NaturalGradient optimizer{model->parameters()};
  const Tensor x = randn({8, 3}, 1), y = torch::tensor({0, 1, 0, 1, 0, 1, 0, 1});
  Tensor loss() {
    const auto type = model->parameters()[0].scalar_type();
    return F::cross_entropy(model->forward(x.to(type)), y);
  }
};

TEST_F(ChangedModel, OfAnotherPrecisionGoesOnWithoutItsMomentum) {
  optimizer.step(loss());
  model->to(torch::kDouble);
  optimizer.step(loss());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_EQ(optimizer.summary().step, 2);
}

TEST_F(ChangedModel, ChangedByAFailingClosureIsPutBack) {
  const auto before = model->parameters()[0].detach().clone();
  const auto fault = [&]() -> Tensor {
    model->to(torch::kDouble);
    throw std::runtime_error("the closure's own");
  };
  EXPECT_THROW(optimizer.step(fault), std::runtime_error);
  EXPECT_TRUE(torch::equal(model->parameters()[0], before));
}

TEST_F(ChangedModel, OneBadRowNeitherTakesAStepBackNorRaisesLambda) {
  optimizer.step(loss());
  const auto theta = model->parameters()[0].detach().clone();
  auto bad = x.to(torch::kFloat).clone();
  bad[3][1] = std::numeric_limits<float>::quiet_NaN();
  optimizer.step(F::cross_entropy(model->forward(bad), y));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_FALSE(optimizer.summary().restored);
  EXPECT_TRUE(torch::equal(model->parameters()[0], theta));
}

TEST_F(ChangedModel, AGroupCanSwitchWeightDecayOff) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(model->parameters(), std::make_unique<NaturalGradientOptions>());
  NaturalGradient decaying(groups, NaturalGradientOptions().weight_decay(0.3));
  EXPECT_EQ(options_of(decaying.param_groups()[0]).weight_decay(), 0);
}

TEST_F(ChangedModel, OptionsOfTheSystemCannotChangeWhileItRuns) {
  auto& options = static_cast<NaturalGradientOptions&>(optimizer.param_groups()[0].options());
  options.seed(5);
  expect_error([&] { optimizer.step(loss()); }, "make a new optimizer");
}

TEST_F(ChangedModel, ALossOfTheModelBeforeAStepIsStale) {
  const auto stale = loss();
  optimizer.step(stale);
  expect_error([&] { optimizer.step(stale); }, "Compute a new loss for every step");
}

TEST_F(ChangedModel, ATinyGradientIsNotAZeroOne) {
  optimizer.step(1e-24 * loss());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_GT(optimizer.summary().gradient_norm, 0);
}

}  // namespace
}  // namespace natgrad::testing::changed_model_test
