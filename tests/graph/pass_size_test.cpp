#include "graph/pass_size.h"
#include <torch/csrc/autograd/variable.h>

#include "support/oracles.h"

namespace natgrad::testing::pass_size_test {
namespace {

bool is_small(int64_t units, int64_t examples) {
  const auto w = randn({units, 4}, 1).requires_grad_();
  const auto z = randn({examples, 4}, 2).mm(w.t()).tanh().sum();
  return is_small_pass({torch::autograd::impl::gradient_edge(z)});
}

TEST(PassSizeTest, IsThatOfTheLargestTensorOnTheWay) {
  EXPECT_TRUE(is_small(8, 32));
  EXPECT_TRUE(is_small(128, 128));   // 2^14 activations
  EXPECT_FALSE(is_small(129, 128));  // a few more
  EXPECT_FALSE(is_small(5000, 1));   // the weights themselves
}

TEST(PassSizeTest, SmallPassesShareTheirCalls) {
  const auto w = randn({3}, 1).requires_grad_();
  EXPECT_EQ(columns_for({torch::autograd::impl::gradient_edge(w.sum())}), Columns::Vmapped);
  const auto large = randn({20000}, 1).requires_grad_();
  EXPECT_EQ(columns_for({torch::autograd::impl::gradient_edge(large.sum())}), Columns::OneByOne);
}

}  // namespace
}  // namespace natgrad::testing::pass_size_test
