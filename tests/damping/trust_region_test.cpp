#include <natgrad/damping/trust_region.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::trust_region_test {
namespace {

constexpr bool kInside = false, kAtTheEdge = true;

TEST(TrustRegionTest, DefaultsAreNocedalAndWrights) {
  const TrustRegion damping;
  EXPECT_EQ(damping.radius(), 1);
  EXPECT_EQ(damping.shrink(), 0.25);
  EXPECT_EQ(damping.grow(), 2);
  EXPECT_EQ(damping.poor(), 0.25);
  EXPECT_EQ(damping.good(), 0.75);
  EXPECT_EQ(damping.lambda(), 0);
  EXPECT_EQ(damping.centre(), 0);
  EXPECT_EQ(damping.rate(), 1);
  EXPECT_TRUE(damping.needs_ratio());
  EXPECT_FALSE(damping.needs_noise());
}

TEST(TrustRegionTest, TheRadiusFollowsTheRatiosAndGrowsFromTheEdgeOnly) {
  struct Observation {
    double rho;
    bool at_the_edge;
    double radius;
  };
  TrustRegion damping;
  for (const auto& [rho, at_the_edge, radius] : std::vector<Observation>{{0.9, kAtTheEdge, 2},
                                                                         {0.9, kInside, 2},
                                                                         {0.75, kAtTheEdge, 2},
                                                                         {0.7501, kAtTheEdge, 4},
                                                                         {0.5, kAtTheEdge, 4},
                                                                         {0.25, kAtTheEdge, 4},
                                                                         {0.2499, kInside, 1},
                                                                         {0, kAtTheEdge, 0.25},
                                                                         {-1e9, kAtTheEdge, 0.0625},
                                                                         {1e9, kAtTheEdge, 0.125},
                                                                         {0.3, kInside, 0.125}}) {
    damping.observe_ratio(rho, at_the_edge);
    damping.accepted();
    ASSERT_EQ(damping.radius(), radius) << "at ρ = " << rho;
    ASSERT_EQ(damping.lambda(), 0);
  }
}

TEST(TrustRegionTest, ARatioThatIsNotFiniteIsPoor) {
  TrustRegion damping;
  double radius = 1;
  for (const double rho : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    damping.observe_ratio(rho, kAtTheEdge);
    EXPECT_EQ(damping.radius(), radius /= 4) << rho;
  }
}

TEST(TrustRegionTest, AStepTakenBackShrinksTheRegion) {
  TrustRegion damping;
  damping.rejected();
  damping.rejected();
  EXPECT_EQ(damping.radius(), 0.0625);
}

TEST(TrustRegionTest, TheRadiusStaysBetweenItsBoundsAndTheLowerExhaustsIt) {
  auto damping = TrustRegion().least(0.1).largest(3);
  for (const double expected : {2., 3., 3.}) {
    damping.observe_ratio(1, kAtTheEdge);
    EXPECT_EQ(damping.radius(), expected);
  }
  for (const double expected : {0.75, 0.1875, 0.1, 0.1}) {
    damping.observe_ratio(0, kInside);
    EXPECT_EQ(damping.radius(), expected);
    EXPECT_EQ(damping.is_exhausted(), expected == 0.1) << expected;
  }
  damping.rejected();
  EXPECT_EQ(damping.radius(), 0.1);
  damping.observe_ratio(1, kAtTheEdge);
  EXPECT_FALSE(damping.is_exhausted());
}

TEST(TrustRegionTest, ManyStepsOfOneKindEndAtTheBounds) {
  TrustRegion up, down;
  for (int t = 0; t < 3000; ++t) {
    up.observe_ratio(1, kAtTheEdge);
    down.rejected();
  }
  EXPECT_EQ(up.radius(), 1e10);
  EXPECT_EQ(down.radius(), 1e-10);
}

TEST(TrustRegionTest, StateContinuesToTheBit) {
  auto one = TrustRegion().shrink(0.3);
  one.rejected();
  auto other = TrustRegion().shrink(0.3);
  other.set_state(one.state());
  EXPECT_EQ(other.radius(), one.radius());
  EXPECT_EQ(other.state(), one.state());
}

TEST(TrustRegionTest, AStateBeyondTheBoundsIsMovedToThem) {
  auto damping = TrustRegion().largest(5);
  damping.set_state({50});
  EXPECT_EQ(damping.radius(), 5);
}

TEST(TrustRegionTest, AnotherDampingsStateIsRefusedAndChangesNothing) {
  TrustRegion damping;
  for (const std::vector<double>& bad :
       std::vector<std::vector<double>>{{}, {1, 2}, {0}, {-1}, {std::nan("")}, {HUGE_VAL}}) {
    expect_error([&] { damping.set_state(bad); }, "TrustRegion's state");
  }
  EXPECT_EQ(damping.radius(), 1);
}

TEST(TrustRegionTest, CloneCarriesStateAndThenGoesItsOwnWay) {
  TrustRegion original;
  original.rejected();
  const auto copy = original.clone();
  copy->rejected();
  EXPECT_EQ(copy->radius(), 0.0625);
  EXPECT_EQ(original.radius(), 0.25);
}

TEST(TrustRegionTest, CopyingSettingsOutOfRangeThrows) {
  const double nan = std::nan("");
  for (const double bad : {0., -1., nan, HUGE_VAL, 1e11, 1e-11}) {
    expect_error([bad] { TrustRegion().initial(bad).clone(); }, "initial radius");
  }
  for (const double bad : {0., 1., -0.5, nan}) {
    expect_error([bad] { TrustRegion().shrink(bad).clone(); }, "shrink");
  }
  for (const double bad : {0.9, nan, HUGE_VAL}) {
    expect_error([bad] { TrustRegion().grow(bad).clone(); }, "grow");
  }
  for (const double bad : {0.75, nan, -HUGE_VAL}) {
    expect_error([bad] { TrustRegion().poor(bad).clone(); }, "poor");
  }
  for (const double bad : {0.25, nan, HUGE_VAL}) {
    expect_error([bad] { TrustRegion().good(bad).clone(); }, "good");
  }
  for (const double bad : {0., -1., nan, 1e11}) {
    expect_error([bad] { TrustRegion().least(bad).clone(); }, "least");
  }
  for (const double bad : {0., nan, HUGE_VAL}) {
    expect_error([bad] { TrustRegion().largest(bad).clone(); }, "largest");
  }
}

TEST(TrustRegionTest, TextTellsEverySettingApartAndIgnoresTheState) {
  TrustRegion damping;
  const auto text = damping.describe();
  damping.rejected();
  EXPECT_EQ(damping.describe(), text);
  for (const auto& other : {TrustRegion().initial(2), TrustRegion().shrink(0.5),
                            TrustRegion().grow(3), TrustRegion().poor(0.2), TrustRegion().good(0.8),
                            TrustRegion().least(1e-9), TrustRegion().largest(1e9)}) {
    EXPECT_NE(other.describe(), text);
  }
}

}  // namespace
}  // namespace natgrad::testing::trust_region_test
