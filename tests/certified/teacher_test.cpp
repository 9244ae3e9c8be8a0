// Ten starts of a network of 41 parameters whose data another one made.

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "certified/regression.h"

namespace natgrad::testing::teacher_test {
namespace {

// `trf` of SciPy 1.17.1 from the same starts, with the exact Jacobian, all tolerances 1e-15 and
// 1,500 evaluations (benchmarks/support/scipy_certified.py; docs/certified.md has more teachers).
constexpr int64_t kTeacher = 2;
constexpr int kOfTrf = 4;
constexpr double kZero = 1e-20;

TEST(TeacherTest, ReachesZeroFromAsManyStartsAsTrf) {
  const auto teacher = certified::teacher_network(kTeacher);
  ASSERT_EQ(teacher.starts.size(), 10);
  ASSERT_EQ(teacher.starts.front().numel(), 41);
  int zeros = 0;
  for (const auto& start : teacher.starts) {
    const auto fit = certified::fit(teacher, start, /*max_steps=*/200);
    zeros += fit.sum_of_squares <= kZero;
    // Where it ends elsewhere it may be a minimum, too.
    EXPECT_TRUE(fit.sum_of_squares > kZero || fit.minimum.converged) << fit.minimum.message();
  }
  EXPECT_GE(zeros, kOfTrf);
}

}  // namespace
}  // namespace natgrad::testing::teacher_test
