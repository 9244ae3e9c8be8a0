// What the natural gradient costs: "the computational cost with respect to regular gradient descent
// is quite larger: it scales as the cube of the number of parameters" (the blog post on natural
// gradients) holds for inverting F; a product with it takes two passes however many there are.

#include <natgrad/graph/loss_graph.h>
#include "theory/small_network.h"

namespace natgrad::testing::cost_of_a_product_test {
namespace {

/// The identity, which counts how often any pass goes through it, forward or backward.
struct Counted : torch::autograd::Function<Counted> {
  static inline int passes = 0;
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& t) {
    ++passes;
    return t.clone();
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    return {Counted::apply(gradients[0])};
  }
};

struct CostOfAProduct : ::testing::TestWithParam<int64_t> {
  const Tensor logits = parameter({GetParam()}, 6711);
  Tensor loss() const {
    return nll(Categorical(Counted::apply(logits).unsqueeze(0)), torch::tensor({0}));
  }
};

TEST_P(CostOfAProduct, IsAFewPassesForAnyNumberOfParameters) {
  const LossGraph graph(loss(), {logits});
  const auto F = fisher(graph);
  const auto v = randn({GetParam()}, 6712);
  F.multiply(v);  // builds J
  Counted::passes = 0;
  F.multiply(v);
  EXPECT_GT(Counted::passes, 0);
  EXPECT_LE(Counted::passes, 2);  // J v and Jᵀu
}

TEST_P(CostOfAProduct, DoesNotAskForTheLossAgain) {
  int calls = 0;
  NaturalGradient optimizer({logits}, plain_natural_gradient(0.1, 1));
  optimizer.step([&] {
    ++calls;
    return loss();
  });
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  EXPECT_EQ(calls, 1);
}

INSTANTIATE_TEST_SUITE_P(Parameters, CostOfAProduct, ::testing::Values(2, 30, 1000));

}  // namespace
}  // namespace natgrad::testing::cost_of_a_product_test
