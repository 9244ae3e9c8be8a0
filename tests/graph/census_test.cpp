#include "graph/census.h"
#include <torch/csrc/autograd/variable.h>

#include <set>

#include "support/oracles.h"

namespace natgrad::testing::census_test {
namespace {

bool is_small(int64_t units, int64_t examples) {
  const auto w = randn({units, 4}, 1).requires_grad_();
  const auto z = randn({examples, 4}, 2).mm(w.t()).tanh().sum();
  return Census({torch::autograd::impl::gradient_edge(z)}).is_small_pass();
}

TEST(CensusTest, MeetsEachNodeOnceFromAllRoots) {
  const auto w = randn({3}, 1).requires_grad_();
  const auto h = w.tanh();
  const auto edge_of = [](const Tensor& t) { return torch::autograd::impl::gradient_edge(t); };
  const Census census({edge_of(h * h), edge_of(h.exp()), edge_of(h)});
  // mul, exp, tanh, w
  EXPECT_EQ(census.nodes.size(), 4);
  EXPECT_EQ(std::set(census.nodes.begin(), census.nodes.end()).size(), census.nodes.size());
}

TEST(CensusTest, HasTheRoundingOfTheLowestPrecision) {
  const auto w = randn({3}, 1).requires_grad_();
  const auto rounding = [](const Tensor& z) {
    return Census({torch::autograd::impl::gradient_edge(z)}).rounding;
  };
  const double in_double = rounding(w.tanh()), in_float = rounding(w.to(torch::kFloat).tanh());
  EXPECT_LT(in_double, in_float);
  EXPECT_EQ(rounding(w.to(torch::kFloat).to(torch::kDouble).tanh()), in_float);
}

TEST(CensusTest, SizeOfAPassIsThatOfTheLargestTensorOnTheWay) {
  EXPECT_TRUE(is_small(8, 32));
  EXPECT_TRUE(is_small(128, 128));   // 2^14 activations
  EXPECT_FALSE(is_small(129, 128));  // a few more
  EXPECT_FALSE(is_small(5000, 1));   // the weights themselves
}

TEST(CensusTest, SmallPassesShareTheirCalls) {
  const auto w = randn({3}, 1).requires_grad_();
  EXPECT_EQ(Census({torch::autograd::impl::gradient_edge(w.sum())}).columns(), Columns::Vmapped);
  const auto large = randn({20000}, 1).requires_grad_();
  EXPECT_EQ(Census({torch::autograd::impl::gradient_edge(large.sum())}).columns(),
            Columns::OneByOne);
}

}  // namespace
}  // namespace natgrad::testing::census_test
