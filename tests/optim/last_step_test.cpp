#include "optim/last_step.h"

#include "support/oracles.h"
#include "support/snapshot.h"

namespace natgrad::testing::last_step_test {
namespace {

/// Two parameters that a step of `delta` has moved, and one that it has not.
struct LastStepTest : ::testing::Test {
  Tensor a = randn({2, 3}, 1), b = randn({4}, 2), other = randn({2}, 3);
  const ParameterLayout layout{{a, b}};
  const Tensor before = layout.values(), delta = randn({10}, 4);
  LastStep last_step = moved();

  LastStep moved() {
    layout.assign(before + 0.1 * delta);
    return {layout, before, delta};
  }
};

TEST_F(LastStepTest, NoneHasNothingToContinueOrTakeBack) {
  LastStep none;
  EXPECT_FALSE(none.delta(layout).defined());
  EXPECT_TRUE(same_bits(none.before(layout), layout.values()));
  EXPECT_FALSE(none.take_back());
}

TEST_F(LastStepTest, IsReadInTheOrderOfTheLayout) {
  const ParameterLayout turned({b, a});
  EXPECT_TRUE(same_bits(last_step.delta(layout), delta));
  EXPECT_TRUE(same_bits(last_step.before(layout), before));
  EXPECT_TRUE(
      same_bits(last_step.delta(turned), torch::cat({delta.slice(0, 6), delta.slice(0, 0, 6)})));
}

TEST_F(LastStepTest, ThatDidNotMoveAParameterIsZeroThere) {
  const ParameterLayout wider({other, b});
  const auto zero = torch::zeros({2}, torch::kDouble);
  EXPECT_TRUE(same_bits(last_step.delta(wider), torch::cat({zero, delta.slice(0, 6)})));
  EXPECT_TRUE(same_bits(last_step.before(wider), torch::cat({other, before.slice(0, 6)})));
  EXPECT_FALSE(last_step.delta(ParameterLayout({other})).defined());
}

TEST_F(LastStepTest, AMemoryIsKeptAsTheStepIs) {
  EXPECT_FALSE(last_step.memory(layout).defined());
  const auto memory = randn({10}, 5);
  LastStep remembering(layout, before, delta, memory);
  const auto of_b = memory.slice(0, 6);
  EXPECT_TRUE(same_bits(remembering.memory(layout), memory));
  EXPECT_TRUE(same_bits(remembering.delta(layout), delta));
  EXPECT_TRUE(same_bits(remembering.memory(ParameterLayout({other, b})),
                        torch::cat({torch::zeros({2}, torch::kDouble), of_b})));
  remembering.forget_delta();
  EXPECT_FALSE(remembering.memory(layout).defined());
}

TEST_F(LastStepTest, IsTakenBackOnceBitForBit) {
  ASSERT_FALSE(same_bits(layout.values(), before));
  EXPECT_TRUE(last_step.take_back());
  EXPECT_TRUE(same_bits(layout.values(), before));
  EXPECT_FALSE(last_step.take_back());
  EXPECT_FALSE(last_step.delta(layout).defined());
}

TEST_F(LastStepTest, IsNotTakenBackOnceAParameterWasWrittenTo) {
  b.mul_(2);
  const auto edited = layout.values();
  EXPECT_FALSE(last_step.take_back());
  EXPECT_TRUE(same_bits(layout.values(), edited));
}

TEST_F(LastStepTest, CountsAsAbsentWhereAParameterIsOfAnotherKindSince) {
  a.set_data(a.to(torch::kFloat));
  b.set_data(b.to(torch::kFloat));
  EXPECT_FALSE(last_step.delta(ParameterLayout({a, b})).defined());
  b.set_data(randn({5}, 5));
  EXPECT_FALSE(last_step.delta(ParameterLayout({b})).defined());
  EXPECT_FALSE(last_step.take_back());
}

TEST_F(LastStepTest, CanBeTakenBackWithoutItsDelta) {
  last_step.forget_delta();
  EXPECT_FALSE(last_step.delta(layout).defined());
  EXPECT_TRUE(last_step.take_back());
  EXPECT_TRUE(same_bits(layout.values(), before));
}

}  // namespace
}  // namespace natgrad::testing::last_step_test
