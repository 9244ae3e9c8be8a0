// Metres and centimetres: covariant and contravariant components (the blog post on units).
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/diagnostics/units.h>

#include "theory/small_network.h"

namespace natgrad::testing::units_test {
namespace {

// Solves of condition 1e5 in centimetres.
constexpr double kRounding = 1e-9;

/// y = lengths·x + sin(angle) with errors that are normal: a linear and a nonlinear tensor.
struct Units : ::testing::Test {
  const Tensor x = randn({12, 2}, 1), y = randn({12}, 2);
  const std::vector<Tensor> parameters = {randn({2}, 3).requires_grad_(),
                                          randn({1}, 4).requires_grad_()};
  const std::function<Tensor()> loss = [this] {
    return nll(Gaussian(x.mv(parameters[0]) + parameters[1].sin()), y);
  };
};

TEST_F(Units, OfComponentsChangeOneWayAndTheOther) {
  const auto report = change_of_units(parameters, loss, {100, 0.5}, {3, 2});
  ASSERT_EQ(report.rows.size(), 2);
  for (const auto& row : report.rows) {
    EXPECT_NEAR(row.gradient * row.factor, 1, kRounding);
    EXPECT_NEAR(row.natural / row.factor, 1, kRounding);
    EXPECT_NEAR(row.plain_step * row.factor * row.factor, 1, kRounding);  // η/10000
    EXPECT_NEAR(row.scaled_step, 1, kRounding);
    EXPECT_NEAR(row.natural_step, 1, kRounding);
  }
  EXPECT_EQ(report.rows[0].factor, 100);
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_NE(report.message().find("0.0001"), std::string::npos) << report.message();
}

TEST_F(Units, ShowACurvatureThatKnowsNothingOfThem) {
  const Metric damped("F + I", [](const LossGraph& graph) { return fisher(graph) + 1.; });
  const auto report = change_of_units(parameters, loss, {100, 0.5}, {}, damped);
  EXPECT_FALSE(report.holds) << report.message();
  EXPECT_GT(report.error, 0.1);
  EXPECT_NEAR(report.rows[0].scaled_step, 1, kRounding);  // whose scales are converted
}

TEST_F(Units, AreRefusedWithAReason) {
  expect_error([&] { change_of_units(parameters, loss, {100}); }, "a factor for each of the 2");
  expect_error([&] { change_of_units(parameters, loss, {100, 0}); }, "a factor > 0");
  expect_error([&] { change_of_units(parameters, loss, {100, 1}, {1, -1}); }, "a scale > 0");
}

}  // namespace
}  // namespace natgrad::testing::units_test
