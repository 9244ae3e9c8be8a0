#include "graph/walk.h"

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <torch/csrc/autograd/function.h>

#include "support/graph_readings.h"

namespace natgrad::testing::walk_test {
namespace {

namespace F = torch::nn::functional;
using torch::autograd::Edge;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }

std::vector<std::string> names(const std::vector<Edge>& edges) {
  std::vector<std::string> names;
  for (const auto& edge : edges) names.push_back(edge.function->name());
  return names;
}

using Names = std::vector<std::string>;

struct Walk : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  std::vector<Edge> find(const Tensor& loss) const {
    return find_parts(loss, network.parameters).edges;
  }
};

TEST_F(Walk, FindsTheNodeOfEachKindOfTerm) {
  const auto y = torch::rand({kExamples, kOutputs}, torch::kDouble);
  EXPECT_EQ(names(find(F::cross_entropy(z, labels()))), Names{"LogSoftmaxBackward0"});
  EXPECT_EQ(names(find(F::binary_cross_entropy_with_logits(z, y))),
            Names{"BinaryCrossEntropyWithLogitsBackward0"});
  EXPECT_EQ(names(find(F::mse_loss(z, y))), Names{"MseLossBackward0"});
  EXPECT_EQ(names(find(nll(Categorical(z), labels()))), Names{"natgrad::nll"});
  EXPECT_EQ(names(find(outputs(z).pow(2).sum())), Names{"natgrad::outputs"});
}

TEST_F(Walk, StopsAtTheFirstTermOfAPath) {
  // The lower log-softmax is a layer of the network.
  const auto top = z.log_softmax(1).mm(parameter({kOutputs, kOutputs}, 1)).log_softmax(1);
  const auto terms = find(-top.mean());
  ASSERT_EQ(terms.size(), 1u);
  EXPECT_EQ(terms[0].function, top.grad_fn());
}

TEST_F(Walk, FindsASharedTermOnce) {
  const auto log_p = z.log_softmax(1);
  EXPECT_EQ(find(F::nll_loss(log_p, labels()) - log_p.mean()).size(), 1u);
}

TEST_F(Walk, NestedTermsComeUpperOnesFirst) {
  const auto lower = z.log_softmax(1);
  const auto upper = lower.tanh().mm(parameter({kOutputs, kOutputs}, 1)).log_softmax(1);
  const auto y = torch::rand({kExamples, kOutputs}, torch::kDouble);
  for (const auto& loss : {-(lower.mean() + upper.mean()), -(upper.mean() + lower.mean())}) {
    const auto terms = find(loss + F::mse_loss(upper.exp(), y));
    ASSERT_EQ(terms.size(), 3u);
    EXPECT_EQ(terms[0].function->name(), "MseLossBackward0");
    EXPECT_EQ(terms[1].function, upper.grad_fn());
    EXPECT_EQ(terms[2].function, lower.grad_fn());
  }
}

TEST_F(Walk, PassesALossOnMarkedOutputs) {
  EXPECT_EQ(names(find(F::cross_entropy(outputs(z), labels()))), Names{"natgrad::outputs"});
}

TEST_F(Walk, PassesALossOnConstants) {
  const auto constant = parameter({kExamples, kOutputs}, 1);  // no parameter of this optimizer
  const auto loss =
      F::cross_entropy(z, labels()) + F::mse_loss(constant, torch::zeros_like(constant));
  EXPECT_EQ(names(find(loss)), Names{"LogSoftmaxBackward0"});
}

TEST_F(Walk, ErrorShowsThePathDownToTheParameter) {
  const auto w = network.parameters[2];
  expect_error_naming([&] { find(F::cross_entropy(z, labels()) + w.mm(w.t()).tanh().sum()); },
                      {"SumBackward0 -> TanhBackward0 -> MmBackward0 -> "});
}

TEST_F(Walk, DeepGraphsNeedNoStack) {
  auto deep = z;
  for (int i = 0; i < 100'000; ++i) deep = deep + 1e-6;
  EXPECT_EQ(names(find(F::cross_entropy(deep, labels()))), Names{"LogSoftmaxBackward0"});
}

TEST_F(Walk, GraphsWithManyPathsAreWalkedOnce) {
  auto wide = z;
  for (int i = 0; i < 60; ++i) wide = 0.5 * (wide + wide);  // 2^60 paths
  EXPECT_EQ(names(find(F::cross_entropy(wide, labels()))), Names{"LogSoftmaxBackward0"});
}

TEST_F(Walk, ReachedFromFlagsWhatLiesBelow) {
  const auto lower = z.log_softmax(1);
  const auto upper = lower.tanh().log_softmax(1);
  const auto other = z.sin();
  const auto edge = [](const Tensor& t) { return Edge(t.grad_fn(), 0); };
  const std::vector<Edge> nodes = {edge(upper), edge(lower), edge(other)};
  EXPECT_EQ(reached_from(edge(upper), nodes), (std::vector<bool>{true, true, false}));
  EXPECT_EQ(reached_from(edge(lower), nodes), (std::vector<bool>{false, true, false}));
  EXPECT_EQ(reached_from(edge(other), nodes), (std::vector<bool>{false, false, true}));
}

TEST_F(Walk, CheckLossAcceptsOneNumberOfEitherShape) {
  const auto loss = F::cross_entropy(z, labels());
  EXPECT_NO_THROW(check_loss(loss));
  EXPECT_NO_THROW(check_loss(loss.view({1})));
  expect_error([&] { check_loss(loss.expand({2})); }, "one number");
}

}  // namespace
}  // namespace natgrad::testing::walk_test
