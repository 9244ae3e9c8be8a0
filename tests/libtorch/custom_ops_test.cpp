// Which nodes a user wrote, and what ops are called: LibTorch tells by the node's type alone.

#include "libtorch/custom_ops.h"
#include "libtorch/edges.h"
#include "support/opaque_ops.h"
#include "support/oracles.h"

namespace natgrad::testing::custom_ops_test {
namespace {

TEST(CustomOpsTest, AFunctionOfTheUsersIsCustomAndHasItsName) {
  const auto x = randn({3}, 1).requires_grad_();
  const auto custom = DetachingSquare::apply(x);
  EXPECT_TRUE(is_custom(node_of(custom)));
  EXPECT_EQ(spoken_name(node_of(custom)), "natgrad::testing::DetachingSquare");
}

TEST(CustomOpsTest, LibTorchsOwnAreNot) {
  const auto x = randn({3}, 1).requires_grad_();
  EXPECT_FALSE(is_custom(node_of(x.tanh())));
  EXPECT_EQ(spoken_name(node_of(x.tanh())), "Tanh");
  EXPECT_EQ(spoken_name(node_of(
                torch::linear(randn({2, 3}, 2), randn({4, 3}, 3).requires_grad_(), randn({4}, 4)))),
            "Addmm");
  EXPECT_FALSE(is_custom(node_of(x)));
  EXPECT_EQ(spoken_name(node_of(x)), "a parameter");
}

}  // namespace
}  // namespace natgrad::testing::custom_ops_test
