// `fill_grad`: what a step leaves in `.grad`.

#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::fill_grad_test {
namespace {

constexpr double kRounding = 1e-13;  // two backward passes through the same graph

NaturalGradientOptions filling() { return NaturalGradientOptions().fill_grad(true); }

std::vector<Tensor> gradients_of(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> gradients;
  for (const auto& p : parameters) gradients.push_back(p.grad());
  return gradients;
}

/// Steps on losses of sign ±1, and `backward()` from the same parameters.
void expect_gradients_of_backward(const NaturalGradientOptions& options, double sign = 1) {
  Training training(options), twin;
  for (int k = 0; k < 3; ++k) {
    {
      const torch::NoGradGuard no_grad;
      for (size_t i = 0; i < 4; ++i) twin.parameters()[i].copy_(training.parameters()[i]);
    }
    twin.optimizer->zero_grad();
    (sign * twin.loss(k)).backward();
    training.optimizer->step(sign * training.loss(k));
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_LT(relative_error(training.parameters()[i].grad(), twin.parameters()[i].grad()),
                kRounding);
    }
  }
}

TEST(FillGradTest, IsWhatBackwardLeavesAfterZeroGrad) { expect_gradients_of_backward(filling()); }

TEST(FillGradTest, IsThatOfTheLossWithoutWeightDecay) {
  expect_gradients_of_backward(filling().weight_decay(0.5));
}

TEST(FillGradTest, IsThatOfTheLossAlsoWhereItIsMaximised) {
  expect_gradients_of_backward(filling().maximize(true), -1);
}

TEST(FillGradTest, DoesNotChangeTheSteps) {
  Training filled(filling()), plain;
  for (int k = 0; k < 3; ++k) {
    filled.good_step();
    plain.good_step();
  }
  EXPECT_TRUE(same_bits(filled.theta(), plain.theta()));
  const double norm = flat(gradients_of(filled.parameters())).norm().item<double>();
  EXPECT_NEAR(norm, filled.summary().gradient_norm, kRounding * norm);
}

TEST(FillGradTest, ReplacesWhatWasThereInTensorsOfTheirOwn) {
  Training training(filling());
  const auto& parameters = training.parameters();
  for (const auto& p : parameters) p.mutable_grad() = torch::full_like(p, std::nan(""));
  training.good_step();
  for (const auto& p : parameters) {
    EXPECT_TRUE(all_finite(p.grad()));
    EXPECT_EQ(p.grad().storage().nbytes(), p.grad().nbytes());
  }
}

TEST(FillGradTest, FrozenParametersKeepTheirsAndUnusedOnesGetZeros) {
  const auto used = randn({3}, 1).requires_grad_(), unused = randn({2}, 2).requires_grad_();
  const auto frozen = randn({2}, 3);
  frozen.mutable_grad() = torch::ones_like(frozen);
  NaturalGradient optimizer({used, unused, frozen}, filling());
  optimizer.step(nll(Gaussian(randn({4, 3}, 4).mm(used.unsqueeze(1))), randn({4, 1}, 5)));
  EXPECT_GT(used.grad().norm().item<double>(), 0);
  EXPECT_TRUE(same_bits(unused.grad(), torch::zeros({2}, torch::kDouble)));
  EXPECT_TRUE(same_bits(frozen.grad(), torch::ones({2}, torch::kDouble)));
}

TEST(FillGradTest, AZeroGradientIsWrittenToo) {
  const auto w = randn({1, 3}, 1).requires_grad_();
  NaturalGradient optimizer({w}, filling());
  const auto z = randn({4, 3}, 2).mm(w.t());
  optimizer.step(nll(Gaussian(z), z.detach()));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::ZeroGradient);
  ASSERT_TRUE(w.grad().defined());
  EXPECT_EQ(w.grad().abs().max().item<double>(), 0);
}

TEST(FillGradTest, AFailedStepLeavesTheOldOnes) {
  const std::vector<std::pair<StepOutcome, Fault>> faults = {
      {StepOutcome::NonFiniteLoss,
       [](Training& t) { t.optimizer->step(t.loss(5) * std::numeric_limits<double>::infinity()); }},
      {StepOutcome::NonFiniteGradient,  // √ has no finite slope at 0
       [](Training& t) {
         const auto z = outputs(t.outputs(5));
         t.optimizer->step((z - z.detach()).square().sum().sqrt());
       }},
      {StepOutcome::SolverFailed,  // without curvature or damping
       [](Training& t) { t.optimizer->step(outputs(t.outputs(5)).sum()); }},
  };
  for (const auto& [outcome, fault] : faults) {
    SCOPED_TRACE(to_string(outcome));
    Training training(filling().curvature(GaussNewton()).damping(Tikhonov(0)));
    training.loss(0).backward();
    const auto old = gradients_of(training.parameters());
    const Snapshot before(training.parameters(), training.model.ptr());
    fault(training);
    EXPECT_EQ(training.summary().outcome, outcome);
    before.expect_unchanged();
    EXPECT_TRUE(training.parameters()[0].grad().is_same(old[0]));
  }
}

}  // namespace
}  // namespace natgrad::testing::fill_grad_test
