#include <gtest/gtest.h>
#include <torch/torch.h>

#include "certified/regression.h"

namespace natgrad::testing::more_garbow_hillstrom_test {
namespace {

TEST(MoreGarbowHillstromTest, AllProblemsEndAtKnownMinima) {
  for (const auto& regression : certified::more_garbow_hillstrom()) {
    for (size_t start = 0; start < regression.starts.size(); ++start) {
      const auto fit = certified::fit(regression, regression.starts[start]);
      const auto where =
          regression.name + ", start " + std::to_string(start + 1) + ": " + fit.minimum.message();
      EXPECT_TRUE(certified::has_known_sum(regression, fit.sum_of_squares)) << where;
      EXPECT_TRUE(fit.minimum.converged) << where;
    }
  }
}

}  // namespace
}  // namespace natgrad::testing::more_garbow_hillstrom_test
