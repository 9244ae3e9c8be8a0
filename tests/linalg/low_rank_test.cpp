#include <natgrad/linalg/low_rank.h>

#include "support/oracles.h"

namespace natgrad::testing::low_rank_test {
namespace {

// Dense algebra on a few numbers of order one.
constexpr double kRounding = 1e-12;
// float32's rounding times the condition of the shifted matrix.
constexpr double kRoundingFloat = 1e-4;

Tensor rows(int64_t n) { return randn({n, 7}, 51); }
Tensor eye() { return torch::eye(7, torch::kDouble); }

struct LowRank : ::testing::TestWithParam<int64_t> {
  Tensor r = rows(GetParam());
  LinearOperator a = low_rank(r);
};

TEST_P(LowRank, IsTheProductOfItsRows) {
  EXPECT_LT(relative_error(dense(a), r.t().mm(r)), kRounding);
}

TEST_P(LowRank, SolvesWithItsShifts) {
  const auto b = randn({7}, 52);
  for (const double shift : {1e-3, 1., 1e3}) {
    const auto expected = torch::linalg_solve(r.t().mm(r) + shift * eye(), b);
    EXPECT_LT(relative_error((a + shift).solve(b), expected), kRounding / std::min(shift, 1.));
  }
}

TEST_P(LowRank, MultiplesAndSumsOfShiftsSolveToo) {
  const auto b = randn({7}, 53);
  const auto map = 2.0 * (a + 0.25) + 0.5;
  const auto expected = torch::linalg_solve(2 * r.t().mm(r) + eye(), b);
  EXPECT_LT(relative_error(map.solve(b), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Rows, LowRank, ::testing::Values(1, 3, 7, 11));

TEST(LowRankTest, SolvesInFloat32) {
  const auto r = rows(3).to(torch::kFloat);
  const auto b = randn({7}, 54);
  const auto expected = torch::linalg_solve(rows(3).t().mm(rows(3)) + 0.1 * eye(), b);
  const auto x = (low_rank(r) + 0.1).solve(b.to(torch::kFloat));
  EXPECT_EQ(x.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(x, expected), kRoundingFloat);
}

// What is left over after a small shift is a difference of nearly equal numbers.
TEST(LowRankTest, SolvesInFloat32WithSmallShifts) {
  const auto r = rows(3).to(torch::kFloat), b = randn({7}, 55).to(torch::kFloat);
  for (const double shift : {1e-4, 1e-6, 1e-8}) {
    const auto x = (low_rank(r) + shift).solve(b).to(torch::kDouble);
    const auto wide = r.to(torch::kDouble);
    const auto residual = wide.t().mv(wide.mv(x)) + shift * x - b.to(torch::kDouble);
    // x is stored in float32: its rounding, times the largest eigenvalue over the shift.
    const double stored =
        1e-7 * x.norm().item<double>() * wide.norm().item<double>() * wide.norm().item<double>();
    EXPECT_LT(residual.norm().item<double>(), stored) << shift;
  }
}

TEST(LowRankTest, WithoutAShiftThrows) {
  const auto a = low_rank(rows(3));
  expect_error([&] { a.solve(randn({7}, 1)); }, "lambda > 0");
  expect_error([&] { (a + (-0.5)).solve(randn({7}, 1)); }, "lambda > 0");
}

TEST(LowRankTest, RowsAreAMatrix) {
  expect_error([] { low_rank(randn({7}, 1)); }, "rows");
}

TEST(LeadingRows, AreTheBestApproximationOfTheirRank) {
  const auto r = rows(5);
  const auto best = leading_rows(r, 2);
  EXPECT_EQ(best.sizes(), torch::IntArrayRef({2, 7}));
  const auto [u, s, v] = torch::linalg_svd(r, false);
  const auto expected =
      v.narrow(0, 0, 2).t().mm(s.narrow(0, 0, 2).square().diag()).mm(v.narrow(0, 0, 2));
  EXPECT_LT(relative_error(best.t().mm(best), expected), kRounding);
  EXPECT_TRUE(identical(leading_rows(r, 5), r));
  expect_error([&] { leading_rows(r, 0); }, "at least 1");
}

}  // namespace
}  // namespace natgrad::testing::low_rank_test
