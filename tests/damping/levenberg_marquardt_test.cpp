#include <natgrad/damping/levenberg_marquardt.h>

#include <cmath>
#include <functional>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing::levenberg_marquardt_test {
namespace {

/// Factors that are exact in binary.
LevenbergMarquardt doubling() { return LevenbergMarquardt().raise(2).lower(0.5); }

TEST(LevenbergMarquardtTest, DefaultsAreMartens) {
  const LevenbergMarquardt damping;
  EXPECT_EQ(damping.lambda(), 1);
  EXPECT_EQ(damping.raise(), 1.5);
  EXPECT_EQ(damping.lower(), 2. / 3);
  EXPECT_EQ(damping.poor(), 0.25);
  EXPECT_EQ(damping.good(), 0.75);
  EXPECT_EQ(damping.centre(), 0);
  EXPECT_EQ(damping.rate(), 1);
  EXPECT_EQ(damping.radius(), HUGE_VAL);
  EXPECT_TRUE(damping.needs_ratio());
  EXPECT_FALSE(damping.needs_noise());
}

TEST(LevenbergMarquardtTest, LambdaFollowsTheRatios) {
  auto damping = doubling();
  const std::vector<std::pair<double, double>> ratio_and_lambda = {
      {0.9, 0.5}, {1, 0.25}, {0.75, 0.25}, {0.5, 0.25}, {0.25, 0.25}, {0.2499, 0.5}, {0.1, 1},
      {0, 2},     {-1e9, 4}, {0.7501, 2},  {1e9, 1},    {0.76, 0.5},  {0.3, 0.5},    {0.24, 1}};
  for (const auto& [rho, lambda] : ratio_and_lambda) {
    damping.observe_ratio(rho, false);
    damping.accepted();
    ASSERT_EQ(damping.lambda(), lambda) << "at ρ = " << rho;
  }
}

TEST(LevenbergMarquardtTest, WithTheDefaultsAGoodStepUndoesAPoorOne) {
  auto damping = LevenbergMarquardt().initial(8);
  damping.observe_ratio(0.1, false);
  EXPECT_EQ(damping.lambda(), 12);
  damping.observe_ratio(0.1, false);
  EXPECT_EQ(damping.lambda(), 18);
  damping.observe_ratio(0.9, false);
  EXPECT_DOUBLE_EQ(damping.lambda(), 12);
}

TEST(LevenbergMarquardtTest, ARatioThatIsNotFiniteIsPoor) {
  auto damping = doubling();
  double lambda = 1;
  for (const double rho : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    damping.observe_ratio(rho, false);
    EXPECT_EQ(damping.lambda(), lambda *= 2) << rho;
  }
}

TEST(LevenbergMarquardtTest, AStepTakenBackRaisesLambda) {
  auto damping = doubling();
  damping.rejected();
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 4);
}

TEST(LevenbergMarquardtTest, HindsightRaisesLambdaFromThatOfTheStep) {
  auto damping = doubling().hindsight(true);
  EXPECT_TRUE(damping.needs_hindsight());
  EXPECT_FALSE(doubling().needs_hindsight());
  damping.observe_ratio(1, false);  // a step of λ = 1, good on its own batch
  damping.accepted();
  EXPECT_EQ(damping.lambda(), 0.5);
  auto other = doubling().hindsight(true);
  other.set_state(damping.state());
  for (auto* each : {&damping, &other}) {
    each->rejected();
    EXPECT_EQ(each->lambda(), 2);
  }
}

TEST(LevenbergMarquardtTest, HindsightOnAStepThatWasNotJudgedRaisesItsLambda) {
  auto damping = doubling().hindsight(true).interval(5);
  damping.accepted();
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 2);
}

TEST(LevenbergMarquardtTest, LambdaStaysBetweenItsBoundsAndTheUpperExhaustsIt) {
  auto damping = doubling().least(0.3).largest(5);
  for (const double expected : {0.5, 0.3, 0.3}) {
    damping.observe_ratio(1, false);
    EXPECT_EQ(damping.lambda(), expected);
  }
  for (const double expected : {0.6, 1.2, 2.4, 4.8, 5., 5.}) {
    EXPECT_FALSE(damping.is_exhausted() && expected < 5);
    damping.observe_ratio(std::nan(""), false);
    EXPECT_EQ(damping.lambda(), expected);
    EXPECT_EQ(damping.is_exhausted(), expected == 5) << expected;
  }
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 5);
  damping.observe_ratio(1, false);
  EXPECT_FALSE(damping.is_exhausted());
}

// Neither end is left by over- or underflow.
TEST(LevenbergMarquardtTest, ManyStepsOfOneKindEndAtTheBounds) {
  LevenbergMarquardt up, down;
  for (int t = 0; t < 5000; ++t) {
    up.observe_ratio(-1, false);
    down.observe_ratio(1, false);
  }
  EXPECT_EQ(up.lambda(), 1e10);
  EXPECT_EQ(down.lambda(), 1e-10);
}

TEST(LevenbergMarquardtTest, TheRatioIsAskedForAtEveryIntervalthStep) {
  auto damping = LevenbergMarquardt().interval(5);
  for (int step = 1; step <= 20; ++step, damping.accepted()) {
    EXPECT_EQ(damping.needs_ratio(), step % 5 == 0) << "step " << step;
  }
}

TEST(LevenbergMarquardtTest, AStepThatIsNotTakenIsAskedForAgain) {
  auto damping = doubling().interval(3);
  for (int step = 1; step <= 2; ++step) damping.accepted();
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_TRUE(damping.needs_ratio());
    damping.observe_ratio(-1, false);
  }
  EXPECT_EQ(damping.lambda(), 8);
  damping.accepted();
  EXPECT_FALSE(damping.needs_ratio());
}

// ω = (19/20)⁵ each fifth step, as K-FAC has it.
TEST(LevenbergMarquardtTest, TheFactorIsTheSameWhateverTheInterval) {
  const double omega = std::pow(19. / 20, 5);
  auto damping = LevenbergMarquardt().initial(150).interval(5).lower(omega).raise(1 / omega);
  damping.observe_ratio(1, false);
  EXPECT_EQ(damping.lambda(), 150 * omega);
}

TEST(LevenbergMarquardtTest, StateContinuesToTheBit) {
  auto one = LevenbergMarquardt().interval(3);
  one.observe_ratio(0.1, false);
  one.accepted();
  one.accepted();
  auto other = LevenbergMarquardt().interval(3);
  other.set_state(one.state());
  EXPECT_EQ(other.lambda(), one.lambda());
  EXPECT_TRUE(other.needs_ratio());
  EXPECT_EQ(other.state(), one.state());
}

TEST(LevenbergMarquardtTest, AStateBeyondTheBoundsIsMovedToThem) {
  auto damping = LevenbergMarquardt().least(0.1);
  damping.set_state({1e-3, 7});
  EXPECT_EQ(damping.lambda(), 0.1);
}

TEST(LevenbergMarquardtTest, AnotherDampingsStateIsRefusedAndChangesNothing) {
  LevenbergMarquardt damping;
  const double nan = std::nan("");
  for (const std::vector<double>& bad : std::vector<std::vector<double>>{
           {}, {1}, {1, 2, 3}, {0, 2}, {-1, 2}, {nan, 2}, {HUGE_VAL, 2}, {3, -1}, {3, nan}}) {
    expect_error([&] { damping.set_state(bad); }, "LevenbergMarquardt's state");
  }
  EXPECT_EQ(damping.state(), (std::vector<double>{1, 0}));
}

TEST(LevenbergMarquardtTest, CloneCarriesStateAndThenGoesItsOwnWay) {
  auto original = doubling();
  original.observe_ratio(0, false);
  const auto copy = original.clone();
  EXPECT_EQ(copy->lambda(), 2);
  copy->observe_ratio(0, false);
  EXPECT_EQ(copy->lambda(), 4);
  EXPECT_EQ(original.lambda(), 2);
}

TEST(LevenbergMarquardtTest, CopyingSettingsOutOfRangeThrows) {
  using LM = LevenbergMarquardt;
  const double nan = std::nan("");
  for (const double bad : {0., -1., nan, HUGE_VAL, 1e11, 1e-11}) {
    expect_error([bad] { LM().initial(bad).clone(); }, "initial λ");
  }
  for (const double bad : {1., 0.5, nan, HUGE_VAL}) {
    expect_error([bad] { LM().raise(bad).clone(); }, "raise");
  }
  for (const double bad : {0., -1., 1.1, nan}) {
    expect_error([bad] { LM().lower(bad).clone(); }, "lower");
  }
  for (const double bad : {0.75, 0.8, nan, -HUGE_VAL}) {
    expect_error([bad] { LM().poor(bad).clone(); }, "poor");
  }
  for (const double bad : {0.25, nan, HUGE_VAL}) {
    expect_error([bad] { LM().good(bad).clone(); }, "good");
  }
  for (const int64_t bad : {0, -1}) {
    expect_error([bad] { LM().interval(bad).clone(); }, "interval");
  }
  for (const double bad : {0., -1., nan, 1e11}) {
    expect_error([bad] { LM().least(bad).clone(); }, "least");
  }
  for (const double bad : {0., nan, HUGE_VAL}) {
    expect_error([bad] { LM().largest(bad).clone(); }, "largest");
  }
}

TEST(LevenbergMarquardtTest, TextTellsEverySettingApartAndIgnoresTheState) {
  using LM = LevenbergMarquardt;
  LM damping;
  const auto text = damping.describe();
  damping.observe_ratio(0, false);
  EXPECT_EQ(damping.describe(), text);
  for (const auto& other :
       {LM().initial(2), LM().raise(2), LM().lower(0.5), LM().poor(0.2), LM().good(0.8),
        LM().interval(5), LM().least(1e-9), LM().largest(1e9)}) {
    EXPECT_NE(other.describe(), text);
  }
}

// A ρ that was measured on a step which then failed counts for the next one, and so is saved too.
TEST(LevenbergMarquardtTest, WhatHindsightGoesByIsInTheStateAtAnyMoment) {
  const auto make = [] { return LevenbergMarquardt().hindsight(true).interval(2); };
  const std::vector<std::function<void(LevenbergMarquardt&)>> events = {
      [](auto& d) { d.observe_ratio(0.9, false); },  // of a step that was not taken
      [](auto& d) { d.accepted(); },
      [](auto& d) { d.rejected(); },
      [](auto& d) { d.observe_ratio(0.1, false); },
      [](auto& d) { d.rejected(); },
      [](auto& d) { d.accepted(); }};
  for (size_t stop = 0; stop <= events.size(); ++stop) {
    auto first = make(), second = make(), whole = make();
    for (size_t k = 0; k < stop; ++k) events[k](first);
    second.set_state(first.state());
    for (size_t k = stop; k < events.size(); ++k) events[k](second);
    for (const auto& event : events) event(whole);
    EXPECT_EQ(second.lambda(), whole.lambda()) << "stopped after " << stop;
    second.rejected();
    whole.rejected();
    EXPECT_EQ(second.lambda(), whole.lambda()) << "stopped after " << stop;
  }
}

}  // namespace
}  // namespace natgrad::testing::levenberg_marquardt_test
