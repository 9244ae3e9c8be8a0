// Random networks and losses by seed: each matrix is that of elementary autograd or is refused by
// name, and each step leaves a model that is whole.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "fuzz/check.h"
#include "fuzz/watch.h"

namespace natgrad::testing::graphs_test {
namespace {

constexpr uint64_t kCases = 2000, kParts = 5;

struct FuzzGraphs : ::testing::TestWithParam<uint64_t> {};

TEST_P(FuzzGraphs, AreReadRightOrRefused) {
  const fuzz::Quiet quiet;
  fuzz::Tally tally;
  for (uint64_t i = 0; i < kCases / kParts; ++i) {
    const auto seed = GetParam() * (kCases / kParts) + i;
    const auto failure = fuzz::watched(seed, &tally);
    ASSERT_EQ(failure, "") << fuzz::smallest(seed);
  }
  // Or nothing would have been shown.
  for (const auto* matrix : {"gradient", "GaussNewton", "Fisher", "EmpiricalFisher", "ScoreRows",
                             "Hessian", "user's gradient"}) {
    EXPECT_GE(tally[std::string(matrix) + " compared"], kCases / kParts / 5) << matrix;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FuzzGraphs, ::testing::Range<uint64_t>(0, kParts),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace natgrad::testing::graphs_test
