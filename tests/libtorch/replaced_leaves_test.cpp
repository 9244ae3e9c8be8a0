// Leaves that are results for a while.
#include "libtorch/replaced_leaves.h"
#include "libtorch/contract.h"

namespace natgrad::testing::replaced_leaves_test {
namespace {

// Products of a few numbers in double.
constexpr double kRounding = 1e-14;
const std::string kReplaced = mend("replaced_leaves.cpp");

struct ReplacedLeavesContract : ::testing::Test {
  torch::nn::Linear layer = [] {
    torch::nn::Linear layer(3, 2);
    layer->to(torch::kDouble);
    return layer;
  }();
  const Tensor x = randn({5, 3}, 1), gamma = variable({2, 3}, 2);

  Tensor loss() { return layer->forward(x).square().sum(); }
  /// Σ ((e^γ x + b)²).
  Tensor expected(const Tensor& g) { return torch::linear(x, g.exp(), layer->bias).square().sum(); }
};

TEST_F(ReplacedLeavesContract, PassGradientsOnToWhatTheyAreResultsOf) {
  const auto reference = torch::autograd::grad({expected(gamma)}, {gamma})[0];
  ReplacedLeaves leaves({layer->weight});
  leaves.by({gamma.exp()});
  const auto h = loss();
  EXPECT_NEAR(h.item<double>() / expected(gamma).item<double>(), 1, kRounding) << kReplaced;
  EXPECT_LT(relative_error(torch::autograd::grad({h}, {gamma})[0], reference), kRounding)
      << kReplaced;
}

TEST_F(ReplacedLeavesContract, ATrialInBetweenLeavesTheGraphValid) {
  const auto reference = torch::autograd::grad({expected(gamma)}, {gamma})[0];
  ReplacedLeaves leaves({layer->weight});
  leaves.by({gamma.exp()});
  const auto h = loss();
  const auto in_place = leaves.stand_ins();
  {
    const torch::NoGradGuard no_grad;
    leaves.by({(2 * gamma).exp()});
    EXPECT_NEAR(loss().item<double>() / expected(2 * gamma).item<double>(), 1, kRounding);
    leaves.by(in_place);
  }
  EXPECT_LT(relative_error(torch::autograd::grad({h}, {gamma})[0], reference), kRounding)
      << kReplaced;
}

TEST_F(ReplacedLeavesContract, AreLeavesAgainInTheirOwnMemory) {
  loss().backward();
  const auto gradient = layer->weight.grad().clone();
  const auto value = layer->weight.detach().clone();
  const auto* memory = layer->weight.data_ptr();
  const auto version = layer->weight._version();
  {
    ReplacedLeaves leaves({layer->weight});
    leaves.by({gamma.exp()});
    loss().backward();  // into γ
  }
  const auto& w = layer->weight;
  EXPECT_TRUE(w.is_leaf() && w.requires_grad() && !w.grad_fn()) << kReplaced;
  EXPECT_EQ(w.data_ptr(), memory) << kReplaced;
  EXPECT_EQ(w._version(), version) << kReplaced;
  EXPECT_TRUE(identical(w.detach(), value)) << kReplaced;
  EXPECT_TRUE(identical(w.grad(), gradient)) << kReplaced;
  loss().backward();
  EXPECT_LT(relative_error(w.grad(), 2 * gradient), kRounding) << kReplaced;
}

}  // namespace
}  // namespace natgrad::testing::replaced_leaves_test
