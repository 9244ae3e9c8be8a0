// When HeldOutRate looks at the outputs' moves, and what it makes of them.

#include <natgrad/step_control/held_out_rate.h>

#include "support/dense_model.h"
#include "support/oracles.h"

namespace natgrad::testing::output_watch_test {
namespace {

/// Steps δ = e₁ times a length under a model that lets P be 2t/(t + 30), with what was looked at.
struct Watched {
  HeldOutRate rule;
  OutputMove move;
  std::vector<int64_t> looks = {};  // the steps
  int64_t steps = 0;

  Step step(double length = 1) {
    ++steps;
    const auto delta = length * torch::ones({1}, torch::kDouble);
    // δ_prev is half wanted: neither boosted nor worse than promised.
    const DenseModel model(torch::ones({1, 1}, torch::kDouble), -delta);
    const auto matrix = from_dense(model.C);
    const Solution solution{delta, {}};
    const auto previous = steps > 1 ? 2 * delta : Tensor();
    const auto outputs = [this](const Tensor&) {
      looks.push_back(steps);
      return move;
    };
    return rule.choose({1,
                        {},
                        matrix,
                        solution,
                        previous,
                        [](const Tensor& v) { return v; },
                        model,
                        outputs,
                        nullptr,
                        0.5});
  }
};

/// How much shorter a first step is for this move than for none.
double shortening_for(const OutputMove& move) {
  Watched watched{{}, move}, free{{}, {}};
  const auto step = watched.step(), whole = free.step();
  EXPECT_EQ(whole.shortening, 1);
  EXPECT_TRUE(identical(step.displacement, whole.displacement * step.shortening));
  EXPECT_TRUE(identical(step.kept, whole.kept * step.shortening));
  EXPECT_TRUE(identical(step.memory, -step.displacement));
  return step.shortening;
}

TEST(OutputWatchTest, AHarmfulMoveIsDividedByItsReach) {
  EXPECT_EQ(shortening_for({4, 0.26}), 0.25);
  EXPECT_EQ(shortening_for({1.25, 1e9}), 0.8);
}

TEST(OutputWatchTest, AMoveWithinAUnitOrWithoutHarmIsTaken) {
  EXPECT_EQ(shortening_for({1, 1e9}), 1);
  EXPECT_EQ(shortening_for({1e9, 0.25}), 1);
  EXPECT_EQ(shortening_for({0, 0}), 1);
}

TEST(OutputWatchTest, WhatCannotBeComputedIsHarm) {
  const double nan = std::nan("");
  EXPECT_EQ(shortening_for({4, nan}), 0.25);
  EXPECT_EQ(shortening_for({4, HUGE_VAL}), 0.25);
  EXPECT_EQ(shortening_for({HUGE_VAL, nan}), 0);
  EXPECT_EQ(shortening_for({nan, nan}), 0);
}

TEST(OutputWatchTest, LooksAtTheFirstStepsThenNowAndThen) {
  Watched watched{{}, {}};
  for (int k = 0; k < 100; ++k) watched.step();
  std::vector<int64_t> expected(20);
  std::iota(expected.begin(), expected.end(), 1);
  for (const int64_t step : {45, 70, 95}) expected.push_back(step);
  EXPECT_EQ(watched.looks, expected);
}

TEST(OutputWatchTest, LooksBeforeALongerStepCouldDoHalfOfTheHarm) {
  Watched watched{{}, {}};
  double square = 0;
  for (int k = 0; k < 20; ++k) {
    // Half a quarter and a bit less, at this length.
    watched.move = {0.5, 0.06};
    square = watched.step().displacement.square().sum().item<double>();
  }
  ASSERT_GT(square, 0);
  watched.step(1.02);
  EXPECT_EQ(watched.looks.back(), 20);
  watched.step(2);
  EXPECT_EQ(watched.looks.back(), 22);
}

TEST(OutputWatchTest, WhereNobodyCanTellAllIsTaken) {
  HeldOutRate rule;
  const auto one = torch::ones({1}, torch::kDouble);
  const DenseModel model(torch::ones({1, 1}, torch::kDouble), -one);
  const auto matrix = from_dense(model.C);
  const Solution solution{one, {}};
  const auto step = rule.choose({1,
                                 {},
                                 matrix,
                                 solution,
                                 {},
                                 [](const Tensor& v) { return v; },
                                 model,
                                 nullptr,
                                 nullptr,
                                 0.5});
  EXPECT_EQ(step.shortening, 1);
  EXPECT_GT(step.displacement.item<double>(), 0);
}

}  // namespace
}  // namespace natgrad::testing::output_watch_test
