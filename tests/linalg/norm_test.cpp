#include "linalg/norm.h"

#include "support/oracles.h"

namespace natgrad::testing::norm_test {
namespace {

// float32 numbers hold their own digits; their sum is in double.
constexpr double kStored = 1e-7;

TEST(NormTest, OfFloat32NeitherUnderflowsNorOverflows) {
  for (const double size : {1e-35, 1.0, 1e35}) {
    const auto v = torch::tensor({3 * size, 4 * size}, torch::kFloat);
    EXPECT_NEAR(norm_in_double(v) / size, 5, 5 * kStored) << size;
  }
}

TEST(NormTest, OfNothingIsZeroAndOfNaNIsNaN) {
  EXPECT_EQ(norm_in_double(torch::empty({0})), 0);
  EXPECT_TRUE(std::isnan(norm_in_double(torch::tensor({1., std::nan("")}))));
}

TEST(NormTest, RoundingIsTheDistanceOfTheNumberAfterOne) {
  EXPECT_EQ(rounding_of(torch::kFloat), std::nextafter(1.f, 2.f) - 1.f);
  EXPECT_EQ(rounding_of(torch::kDouble), std::nextafter(1., 2.) - 1.);
}

}  // namespace
}  // namespace natgrad::testing::norm_test
