#include <natgrad/diagnostics/geodesic_flow.h>

#include "diagnostics/wrong_metrics.h"
#include "support/oracles.h"

namespace natgrad::testing::geodesic_flow_test {
namespace {

constexpr double kOrder = 0.1;

Tensor chances(std::vector<double> p) { return torch::tensor(p, torch::kDouble); }
const std::vector<double> kFrom = {0.7, 0.2, 0.1}, kTo = {0.1, 0.3, 0.6};

TEST(GeodesicFlowTest, IsTheMixtureGeodesicAndNotTheGreatCircle) {
  const auto report = geodesic_flow(chances(kFrom), chances(kTo));
  EXPECT_TRUE(report.is_mixture_geodesic) << report.message();
  EXPECT_FALSE(report.is_great_circle) << report.message();
  EXPECT_NEAR(report.orders.line, 1, kOrder);
  EXPECT_NEAR(report.orders.solution, 1, kOrder);
  EXPECT_NEAR(report.orders.circle, 0, kOrder);
  EXPECT_GT(report.fine.circle, 10 * report.fine.line);
}

// One step by hand: logits move by -ε F⁻(p - q), which leaves p - ε(p - q) to first order.
TEST(GeodesicFlowTest, FollowsEulersSteps) {
  const auto report = geodesic_flow(chances(kFrom), chances(kTo), Fisher(),
                                    GeodesicFlowOptions().time(0.5).steps(2));
  EXPECT_EQ(report.path.sizes(), torch::IntArrayRef({5, 3}));
  auto p = chances(kFrom);
  for (int64_t k = 1; k <= 4; ++k) {
    const auto step = (p - chances(kTo)) / p;  // a generalised inverse of diag(p) - ppᵀ
    p = (p.log() - 0.125 * step).softmax(0);
    EXPECT_LT(relative_error(report.path[k], p), 1e-11);
  }
}

TEST(GeodesicFlowTest, OfTwoClassesEveryPathIsOnTheCircle) {
  const auto report = geodesic_flow(chances({0.8, 0.2}), chances({0.3, 0.7}));
  EXPECT_TRUE(report.is_mixture_geodesic) << report.message();
  EXPECT_TRUE(report.is_great_circle) << report.message();
}

TEST(GeodesicFlowTest, FailsForWrongMetrics) {
  for (const auto& wrong : wrong_metrics()) {
    const auto report = geodesic_flow(chances(kFrom), chances(kTo), wrong);
    EXPECT_FALSE(report.is_mixture_geodesic) << report.message();
  }
}

TEST(GeodesicFlowTest, RefusesWhatIsNoDistribution) {
  expect_error([] { geodesic_flow(chances({0.5, 0.6}), chances({0.3, 0.7})); }, "sums to 1");
  expect_error([] { geodesic_flow(chances({1, 0}), chances({0.3, 0.7})); }, "positive");
  expect_error([] { geodesic_flow(chances({0.5, 0.5}), chances(kTo)); }, "from [K] to [K]");
  expect_error([] { geodesic_flow(chances({1}), chances({1})); }, "two or more classes");
  const auto flow = [](const GeodesicFlowOptions& options) {
    return [options] { geodesic_flow(chances(kFrom), chances(kTo), Fisher(), options); };
  };
  expect_error(flow(GeodesicFlowOptions().time(0)), "time");
  expect_error(flow(GeodesicFlowOptions().steps(1)), "steps");
}

}  // namespace
}  // namespace natgrad::testing::geodesic_flow_test
