// Moving an optimizer while it is in use; copying is deleted, as in LibTorch.

#include <natgrad/optim/natural_gradient.h>

#include <type_traits>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::moving_test {
namespace {

static_assert(std::is_move_constructible_v<NaturalGradient>);
static_assert(std::is_move_assignable_v<NaturalGradient>);
static_assert(!std::is_copy_constructible_v<NaturalGradient>);
static_assert(!std::is_copy_assignable_v<NaturalGradient>);

struct MovingTest : ::testing::Test {
  Training straight, moved;
  MovingTest() {
    for (int k = 0; k < 3; ++k) {
      straight.good_step();
      moved.good_step();
    }
  }
  void expect_to_continue(NaturalGradient& optimizer) {
    EXPECT_EQ(optimizer.summary().step, 3);
    for (int k = 3; k < 6; ++k) {
      straight.good_step();
      optimizer.step(moved.loss(k));
      EXPECT_TRUE(same_bits(moved.theta(), straight.theta()));
      EXPECT_EQ(optimizer.summary().lambda, straight.summary().lambda);
    }
  }
};

TEST_F(MovingTest, ContinuesToTheBitAfterTheFirstIsDestroyed) {
  NaturalGradient second = std::move(*moved.optimizer);
  moved.optimizer.reset();
  expect_to_continue(second);
}

TEST_F(MovingTest, AssignmentReplacesAnotherOptimizer) {
  Training other;
  other.good_step();
  const auto before = other.theta();
  *other.optimizer = std::move(*moved.optimizer);
  moved.optimizer.reset();
  expect_to_continue(*other.optimizer);
  EXPECT_TRUE(same_bits(other.theta(), before));
}

TEST_F(MovingTest, AVectorOfOptimizersMayGrow) {
  std::vector<NaturalGradient> optimizers;
  optimizers.push_back(std::move(*moved.optimizer));
  for (int k = 0; k < 4; ++k) optimizers.emplace_back(Training().parameters());
  expect_to_continue(optimizers.front());
}

TEST_F(MovingTest, TheLastStepCanStillBeTakenBack) {
  const auto before = moved.theta();
  moved.good_step();
  NaturalGradient second = std::move(*moved.optimizer);
  second.step(moved.loss(0) * std::numeric_limits<double>::infinity());
  EXPECT_TRUE(second.summary().restored);
  EXPECT_TRUE(same_bits(moved.theta(), before));
}

TEST_F(MovingTest, OneThatWasMovedFromThrows) {
  const NaturalGradient second = std::move(*moved.optimizer);
  const Snapshot before(moved.parameters());
  expect_error([&] { moved.optimizer->step(moved.loss(0)); }, "no parameters");
  before.expect_unchanged();
}

TEST_F(MovingTest, OneThatWasMovedFromCanBeAssignedTo) {
  NaturalGradient second = std::move(*moved.optimizer);
  *moved.optimizer = std::move(second);
  expect_to_continue(*moved.optimizer);
}

}  // namespace
}  // namespace natgrad::testing::moving_test
