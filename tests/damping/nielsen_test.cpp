#include <natgrad/damping/nielsen.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::nielsen_test {
namespace {

Tensor doubles(std::vector<double> numbers) { return torch::tensor(numbers, torch::kDouble); }

TEST(NielsenTest, LambdaFallsByTheRatioAndRisesFasterAndFaster) {
  auto damping = Nielsen().initial(1);
  double lambda = 1;
  for (const double rho : {0.5, 0.25, 0.9, 1., 1e-3, 7.}) {
    damping.observe_ratio(rho, false);
    lambda *= std::max(1. / 3, 1 - std::pow(2 * rho - 1, 3));
    EXPECT_DOUBLE_EQ(damping.lambda(), lambda) << rho;
  }
  for (const double growth : {2., 4., 8.}) {
    damping.observe_ratio(-1, false);
    EXPECT_DOUBLE_EQ(damping.lambda(), lambda *= growth);
  }
  damping.observe_ratio(0.5, false);
  damping.observe_ratio(0, false);
  EXPECT_DOUBLE_EQ(damping.lambda(), lambda * 2) << "after a good step it starts with 2 again";
}

TEST(NielsenTest, ARatioThatIsNotFiniteIsPoor) {
  for (const double rho : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto damping = Nielsen().initial(1);
    damping.observe_ratio(rho, false);
    EXPECT_EQ(damping.lambda(), 2) << rho;
  }
}

TEST(NielsenTest, LambdaKeepsToItsBounds) {
  auto damping = Nielsen().initial(1).least(0.5).largest(3);
  damping.observe_ratio(1, false);
  EXPECT_EQ(damping.lambda(), 0.5);
  for (int k = 0; k < 3; ++k) damping.rejected();
  EXPECT_EQ(damping.lambda(), 3);
  EXPECT_TRUE(damping.is_exhausted());
}

TEST(NielsenTest, DIsTheLongestColumnSoFarButNoMoreThanTheCapTimesTheLast) {
  auto damping = Nielsen().cap(10);
  damping.observe_diagonal(doubles({4, 1, 0, 1}), true);
  EXPECT_TRUE(identical(damping.diagonal(), doubles({4, 1, 1, 1}))) << "1 for a column of zeros";
  damping.observe_diagonal(doubles({1, 9, 0, 1e-4}), true);
  EXPECT_LT(relative_error(damping.diagonal(), doubles({4, 9, 1, 1e-2})), 1e-15);
  damping.observe_diagonal(doubles({1, 0, 2, 1}), true);
  EXPECT_LT(relative_error(damping.diagonal(), doubles({4, 9, 2, 1})), 1e-15)
      << "a column that vanished keeps what it was";
}

TEST(NielsenTest, OtherParametersStartAnew) {
  Nielsen damping;
  damping.observe_diagonal(doubles({4, 1}), true);
  damping.observe_diagonal(doubles({1, 1, 1}), true);
  EXPECT_TRUE(identical(damping.diagonal(), doubles({1, 1, 1})));
  damping.observe_diagonal(doubles({0.25, 4, 1}), false);
  EXPECT_TRUE(identical(damping.diagonal(), doubles({0.25, 4, 1}))) << "others of the same number";
}

TEST(NielsenTest, AStateContinuesToTheBit) {
  auto damping = Nielsen().initial(0.3);
  damping.observe_diagonal(doubles({4, 1, 1. / 3}), true);
  damping.observe_ratio(-1, false);
  damping.observe_ratio(-1, false);
  Nielsen other;
  other.set_state(damping.state());
  EXPECT_EQ(other.state(), damping.state());
  for (auto* one : {&damping, &other}) {
    one->observe_diagonal(doubles({1, 2, 0.1}), true);
    one->observe_ratio(-1, false);
  }
  EXPECT_EQ(other.lambda(), damping.lambda());
  EXPECT_TRUE(identical(other.diagonal(), damping.diagonal()));
}

TEST(NielsenTest, RefusesAStateThatIsNone) {
  Nielsen damping;
  for (const std::vector<double>& state :
       {std::vector<double>{}, {1}, {0, 2}, {1, 1}, {1, 2, -1}, {std::nan(""), 2}}) {
    expect_error([&] { damping.set_state(state); }, "Nielsen's state");
  }
}

TEST(NielsenTest, InvalidSettingsThrow) {
  for (const auto& damping :
       {Nielsen().initial(0), Nielsen().initial(std::nan("")), Nielsen().least(0),
        Nielsen().least(2).largest(1), Nielsen().largest(HUGE_VAL), Nielsen().cap(0.5),
        Nielsen().cap(std::nan("")), Nielsen().tries(0)}) {
    expect_error([&] { damping.clone(); }, "natgrad: Nielsen's");
  }
}

}  // namespace
}  // namespace natgrad::testing::nielsen_test
