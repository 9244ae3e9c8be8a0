// clip_grad_norm_ before a step, out of habit.

#include <natgrad/optim/natural_gradient.h>

#include "support/oracles.h"
#include "support/training.h"
#include "support/warnings.h"

namespace natgrad::testing::clipped_gradients_test {
namespace {

constexpr const char* kTold = "A step reads no .grad";

struct ClippedGradients : ::testing::Test {
  Training training;
  Warnings warnings;

  /// Steps of a loop that makes the gradient and does something with it.
  void run(const std::function<void()>& meddle) {
    for (int t = 0; t < 3; ++t) {
      for (auto& p : training.parameters()) p.mutable_grad() = Tensor();
      const auto loss = training.loss(t);
      loss.backward({}, /*retain_graph=*/true);
      meddle();
      training.optimizer->step(loss);
      ASSERT_EQ(training.summary().outcome, StepOutcome::Accepted);
    }
  }
};

TEST_F(ClippedGradients, ByNormAreNamedOnceWithTheOption) {
  run([&] { torch::nn::utils::clip_grad_norm_(training.parameters(), 1e-2); });
  EXPECT_EQ(warnings.count(kTold), 1);
  EXPECT_EQ(warnings.count("max_gradient_norm(0.01)"), 1);
  EXPECT_NE(training.summary().message().find("max_gradient_norm(0.01)"), std::string::npos);
}

TEST_F(ClippedGradients, ByValueAreNamedOnceWithTheOption) {
  run([&] { torch::nn::utils::clip_grad_value_(training.parameters(), 1e-3); });
  EXPECT_EQ(warnings.count(kTold), 1);
  EXPECT_EQ(warnings.count("clamped to 0.001"), 1);
}

TEST_F(ClippedGradients, ThatAreWholeAreNot) {
  run([&] { torch::nn::utils::clip_grad_norm_(training.parameters(), 1e6); });
  EXPECT_EQ(warnings.count(kTold), 0);
}

TEST_F(ClippedGradients, OfAnotherLossAreNot) {
  // As a discriminator's are after its generator's step.
  run([&] {
    for (auto& p : training.parameters()) p.mutable_grad() = torch::randn_like(p) * 1e-3;
  });
  EXPECT_EQ(warnings.count(kTold), 0);
}

TEST_F(ClippedGradients, OfSomeParametersAreNot) {
  run([&] {
    torch::nn::utils::clip_grad_norm_(training.parameters(), 1e-2);
    training.parameters().back().mutable_grad() = Tensor();
  });
  EXPECT_EQ(warnings.count(kTold), 0);
}

TEST_F(ClippedGradients, ThatFillGradHasLeftAreNot) {
  // The same gradient each time, so that what is left of it is a multiple of the next.
  Training filling(NaturalGradientOptions(0.1).fill_grad(true).max_step_norm(1e-30));
  for (int t = 0; t < 3; ++t) {
    torch::nn::utils::clip_grad_norm_(filling.parameters(), 1e-2);
    filling.optimizer->step(filling.loss(0));
  }
  EXPECT_EQ(warnings.count(kTold), 0);
}

}  // namespace
}  // namespace natgrad::testing::clipped_gradients_test
