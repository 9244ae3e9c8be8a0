#include <natgrad/damping/damping.h>
#include <natgrad/damping/tikhonov.h>

#include "support/oracles.h"

namespace natgrad::testing::damping_test {
namespace {

TEST(DampingTest, OneWithoutAStateTakesNoOther) {
  Tikhonov damping(0.5);
  EXPECT_TRUE(damping.state().empty());
  EXPECT_NO_THROW(damping.set_state({}));
  expect_error([&] { damping.set_state({1, 2}); }, "Tikhonov(0.5) has no state");
}

TEST(DampingTest, TheDefaultsAreNoCentreNoNoiseAndTheWholeRate) {
  Tikhonov damping(0.5);
  damping.accepted();
  EXPECT_EQ(damping.centre(), 0);
  EXPECT_EQ(damping.rate(), 1);
  EXPECT_FALSE(damping.needs_noise());
}

}  // namespace
}  // namespace natgrad::testing::damping_test
