#include <natgrad/damping/proximal.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::proximal_test {
namespace {

// A running mean of a few numbers of order one: some roundings of 1e-16 each.
constexpr double kRounding = 1e-14;
// 1/(1 - μ) near 60: a rounding of μ counts 60² times.
constexpr double kMemoryRounding = 60 * 60 * kRounding;

TEST(ProximalTest, DefaultsAreThePapers) {
  const Proximal damping;
  EXPECT_EQ(damping.momentum(), 0.95);
  EXPECT_EQ(damping.centre(), 0.95);
  EXPECT_EQ(damping.rate(), 1);
  EXPECT_EQ(damping.memory_doubling(), 50);
  EXPECT_EQ(damping.noise_decay(), 0.95);
  EXPECT_FALSE(damping.fixed_lambda().has_value());
  EXPECT_TRUE(damping.needs_noise());
}

TEST(ProximalTest, LambdaBeforeAnyNoiseThrows) {
  expect_error([] { Proximal().lambda(); }, "observe_noise");
}

// The first measurement counts in full: no bias towards an arbitrary start.
TEST(ProximalTest, FirstNoiseIsLambda) {
  Proximal damping;
  damping.observe_noise(3.5);
  EXPECT_EQ(damping.lambda(), 3.5);
}

TEST(ProximalTest, LambdaIsTheExponentialMeanOfTheNoise) {
  constexpr double kDecay = 0.75;
  const std::vector<double> noise = {2.0, 5.0, 0.5, 7.0};
  auto damping = Proximal().noise_decay(kDecay);
  for (const double n : noise) damping.observe_noise(n);
  // Unrolled: c³ n₀ + (1 - c)(c² n₁ + c n₂ + n₃).
  const double expected = 0.421875 * 2 + 0.25 * (0.5625 * 5 + 0.75 * 0.5 + 7);
  EXPECT_NEAR(damping.lambda(), expected, kRounding * expected);
}

TEST(ProximalTest, WithoutDecayOnlyTheLastNoiseCounts) {
  auto damping = Proximal().noise_decay(0);
  damping.observe_noise(100);
  damping.observe_noise(0.25);
  EXPECT_EQ(damping.lambda(), 0.25);
}

TEST(ProximalTest, LambdaScalesWithTheNoise) {
  Proximal one, hundred;
  for (const double n : {1.0, 0.3, 2.2}) {
    one.observe_noise(n);
    hundred.observe_noise(100 * n);
  }
  EXPECT_NEAR(hundred.lambda(), 100 * one.lambda(), kRounding * hundred.lambda());
}

// As the data is fitted the noise vanishes; without the floor so would λ, and steps of any length
// pass.
TEST(ProximalTest, LambdaKeepsAShareOfTheLargestNoise) {
  auto damping = Proximal().noise_decay(0).noise_floor(0.25);
  for (const double n : {4.0, 8.0, 2.5}) damping.observe_noise(n);
  EXPECT_EQ(damping.lambda(), 2.5);
  damping.observe_noise(1e-12);
  EXPECT_EQ(damping.lambda(), 2.0);
}

TEST(ProximalTest, ARejectionRaisesALambdaThatLiesOnTheFloor) {
  auto damping = Proximal().noise_decay(0).noise_floor(0.5);
  damping.observe_noise(8);
  damping.observe_noise(0);
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 40);
}

TEST(ProximalTest, AFloorOutOfRangeThrows) {
  expect_error([] { Proximal().noise_floor(1).clone(); }, "noise_floor");
  expect_error([] { Proximal().noise_floor(-0.1).clone(); }, "noise_floor");
}

TEST(ProximalTest, ZeroNoiseIsZeroLambda) {
  Proximal damping;
  damping.observe_noise(0);
  EXPECT_EQ(damping.lambda(), 0);
}

TEST(ProximalTest, RejectionMakesLambdaTenTimesLargerAndIsForgotten) {
  Proximal damping;
  damping.observe_noise(2);
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 20);
  for (int k = 1; k <= 200; ++k) {
    damping.observe_noise(2);
    const double expected = 2 * (1 + 9 * std::pow(0.95, k));
    EXPECT_NEAR(damping.lambda(), expected, kRounding * expected) << "after " << k << " steps";
  }
}

TEST(ProximalTest, RejectionBeforeAnyNoiseIsHarmless) {
  Proximal damping;
  damping.rejected();
  damping.observe_noise(2);
  EXPECT_EQ(damping.lambda(), 2);
}

TEST(ProximalTest, FixedLambdaNeedsNoNoise) {
  auto damping = Proximal().fixed_lambda(0.5);
  EXPECT_FALSE(damping.needs_noise());
  EXPECT_EQ(damping.lambda(), 0.5);
  damping.observe_noise(9);
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 0.5);
}

TEST(ProximalTest, MomentumIsTheCentre) {
  EXPECT_EQ(Proximal().momentum(0.5).centre(), 0.5);
  EXPECT_EQ(Proximal().momentum(0).centre(), 0);
}

// 1/(1 - μ) = 20 steps at first, twice that after T, three times after 2T.
TEST(ProximalTest, TheMemoryGrowsWithTheStepsAndTheRateFallsWithItsRoot) {
  constexpr int kDoubling = 8;
  auto damping = Proximal().memory_doubling(kDoubling);
  for (int t = 0; t <= 2 * kDoubling; ++t, damping.accepted()) {
    const double growth = 1 + t / 8.0;
    EXPECT_NEAR(1 / (1 - damping.centre()), 20 * growth, kMemoryRounding) << "after " << t;
    EXPECT_NEAR(damping.rate() * damping.rate(), 1 / growth, kRounding) << "after " << t;
  }
}

TEST(ProximalTest, ALambdaThatIsFixedDoesNotFixTheMemory) {
  auto damping = Proximal().fixed_lambda(0.5).memory_doubling(1);
  damping.accepted();
  EXPECT_NEAR(damping.centre(), 0.975, kRounding);
}

TEST(ProximalTest, OnlyAcceptedStepsMakeTheMemoryGrow) {
  Proximal damping;
  damping.observe_noise(2);
  damping.rejected();
  EXPECT_EQ(damping.centre(), 0.95);
  EXPECT_EQ(damping.rate(), 1);
}

TEST(ProximalTest, WithInfiniteDoublingOrNoMomentumNothingGrows) {
  auto constant = Proximal().memory_doubling(HUGE_VAL), none = Proximal().momentum(0);
  for (int t = 0; t < 1000; ++t, constant.accepted(), none.accepted()) {
    ASSERT_NEAR(constant.centre(), 0.95, kRounding);
    ASSERT_EQ(constant.rate(), 1);
    ASSERT_EQ(none.centre(), 0);
    ASSERT_EQ(none.rate(), 1);
  }
}

TEST(ProximalTest, StateContinuesToTheBit) {
  Proximal one, other;
  EXPECT_NO_THROW(other.set_state(one.state()));  // before any noise
  one.observe_noise(4);
  for (int t = 0; t < 7; ++t) one.accepted();
  other.set_state(one.state());
  EXPECT_EQ(other.lambda(), one.lambda());
  EXPECT_EQ(other.centre(), one.centre());
  EXPECT_EQ(other.rate(), one.rate());
  expect_error([&] { other.set_state({1, 2}); }, "Proximal's state");
}

TEST(ProximalTest, CloneCarriesStateAndThenGoesItsOwnWay) {
  Proximal original;
  original.observe_noise(4);
  const auto copy = original.clone();
  EXPECT_EQ(copy->lambda(), 4);
  copy->observe_noise(24);
  EXPECT_NEAR(copy->lambda(), 5, kRounding * 5);
  EXPECT_EQ(original.lambda(), 4);
}

// Options are values with public setters: they are checked where the optimizer takes its copy.
TEST(ProximalTest, CopyingSettingsOutOfRangeThrows) {
  for (const double bad : {-0.1, 1.0, 1.5, std::nan("")}) {
    expect_error([bad] { Proximal().momentum(bad).clone(); }, "momentum");
    expect_error([bad] { Proximal().noise_decay(bad).clone(); }, "noise_decay");
  }
  for (const double bad : {0.0, -1.0, std::nan("")}) {
    expect_error([bad] { Proximal().memory_doubling(bad).clone(); }, "memory_doubling");
  }
  for (const double bad : {-1e-9, std::nan(""), HUGE_VAL}) {
    expect_error([bad] { Proximal().fixed_lambda(bad).clone(); }, "fixed_lambda");
  }
}

TEST(ProximalTest, TextTellsEverySettingApart) {
  const auto text = Proximal().describe();
  EXPECT_EQ(text, Proximal().describe());
  EXPECT_NE(text, Proximal().momentum(0.9).describe());
  EXPECT_NE(text, Proximal().memory_doubling(100).describe());
  EXPECT_NE(text, Proximal().noise_decay(0.9).describe());
  EXPECT_NE(text, Proximal().fixed_lambda(0).describe());
  EXPECT_NE(Proximal().fixed_lambda(0.1).describe(),
            Proximal().fixed_lambda(std::nextafter(0.1, 1.0)).describe());
}

// Text is about settings: what was measured since does not make two options conflict.
TEST(ProximalTest, TextIgnoresTheMeasuredNoise) {
  Proximal damping;
  damping.observe_noise(4);
  EXPECT_EQ(damping.describe(), Proximal().describe());
}

}  // namespace
}  // namespace natgrad::testing::proximal_test
