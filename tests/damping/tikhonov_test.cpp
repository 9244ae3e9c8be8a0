#include <natgrad/damping/tikhonov.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::tikhonov_test {
namespace {

TEST(TikhonovTest, KeepsItsLambdaWhateverHappens) {
  Tikhonov damping(0.25);
  EXPECT_EQ(damping.lambda(), 0.25);
  damping.observe_noise(1e6);
  EXPECT_EQ(damping.lambda(), 0.25);
  damping.rejected();
  EXPECT_EQ(damping.lambda(), 0.25);
}

TEST(TikhonovTest, IsCentredAtZeroAndMeasuresNothing) {
  const Tikhonov damping(1);
  EXPECT_EQ(damping.centre(), 0);
  EXPECT_FALSE(damping.needs_noise());
}

TEST(TikhonovTest, ZeroIsTheUndampedNaturalGradient) { EXPECT_EQ(Tikhonov(0).lambda(), 0); }

TEST(TikhonovTest, RefusesLambdasThatAreNotFiniteAndNonNegative) {
  for (const double bad : {-1e-300, -1.0, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    expect_error([bad] { Tikhonov damping(bad); }, "lambda");
  }
}

TEST(TikhonovTest, CloneKeepsLambdaAndType) {
  const Tikhonov damping(0.125);
  const auto copy = damping.clone();
  EXPECT_EQ(copy->lambda(), 0.125);
  EXPECT_NE(dynamic_cast<const Tikhonov*>(copy.get()), nullptr);
}

// Options are compared by this text, so that it must tell apart what differs in the last digit.
TEST(TikhonovTest, TextIsEqualExactlyForEqualSettings) {
  EXPECT_EQ(Tikhonov(0.1).describe(), Tikhonov(0.1).describe());
  EXPECT_NE(Tikhonov(0.1).describe(), Tikhonov(std::nextafter(0.1, 1.0)).describe());
}

}  // namespace
}  // namespace natgrad::testing::tikhonov_test
