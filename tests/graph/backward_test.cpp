#include "graph/backward.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::backward_test {
namespace {

using torch::autograd::edge_list;
using torch::autograd::impl::gradient_edge;

constexpr double kRounding = 1e-14;  // one product of a 24 x 5 matrix

struct Backward : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor u = randn({kExamples, kOutputs}, 901);
  Tensor unused = parameter({2}, 902);

  edge_list inputs() const {
    edge_list edges;
    for (const auto& p : network.parameters) edges.push_back(gradient_edge(p));
    return edges;
  }
  std::vector<Tensor> run(Pass pass = Pass::Plain) const {
    return backward({gradient_edge(z)}, {u}, inputs(), pass);
  }
};

TEST_F(Backward, EqualsTheTransposedJacobian) {
  const auto expected = jacobian(z, network.parameters).t().mv(u.view(-1));
  EXPECT_LT(relative_error(flat(run()), expected), kRounding);
}

TEST_F(Backward, KeepsTheGraph) {
  const auto first = flat(run());
  EXPECT_TRUE(identical(flat(run()), first));
}

TEST_F(Backward, LeavesGradAlone) {
  network.parameters[0].mutable_grad() = torch::ones_like(network.parameters[0]);
  run();
  EXPECT_TRUE(identical(network.parameters[0].grad(), torch::ones({5, 3}, torch::kDouble)));
  EXPECT_FALSE(network.parameters[1].grad().defined());
}

TEST_F(Backward, IsUndefinedWhereNothingArrives) {
  const auto gradients = backward({gradient_edge(z)}, {u},
                                  {gradient_edge(unused), gradient_edge(network.parameters[3])});
  EXPECT_FALSE(gradients[0].defined());
  EXPECT_TRUE(gradients[1].defined());
}

TEST_F(Backward, OnlyTheDifferentiablePassHasAGraph) {
  for (const auto& gradient : run()) EXPECT_FALSE(gradient.requires_grad());
  EXPECT_TRUE(run(Pass::Differentiable)[0].requires_grad());
}

TEST_F(Backward, ReachesANodeInTheMiddle) {
  const auto squared = z.pow(2);
  const auto at_z = backward({gradient_edge(squared)}, {u}, {gradient_edge(z)});
  EXPECT_LT(relative_error(at_z[0], 2 * z * u), kRounding);
}

TEST_F(Backward, AddsUpSeveralRoots) {
  const auto both = backward({gradient_edge(z), gradient_edge(z.sin())}, {u, u}, inputs());
  const auto expected = jacobian(z + z.sin(), network.parameters).t().mv(u.view(-1));
  EXPECT_LT(relative_error(flat(both), expected), kRounding);
}

TEST_F(Backward, WorksWhereGradientsAreDisabled) {
  const auto expected = flat(run());
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(identical(flat(run()), expected));
}

TEST_F(Backward, FreedGraphNamesTheLineToDrop) {
  z.sum().backward();
  expect_error_naming([&] { run(); }, {"natgrad: ", "freed", "loss.backward()", "retain_graph"});
}

TEST_F(Backward, OpWithoutDoubleBackwardIsNamed) {
  const auto losses = at::ctc_loss(z.view({kExamples, 1, kOutputs}).log_softmax(2),
                                   torch::ones({1, 2}, torch::kLong), torch::tensor({kExamples}),
                                   torch::tensor({2}), /*blank=*/0, at::Reduction::None);
  const auto dummy = randn({1}, 904).requires_grad_();
  const auto twice = [&] {
    const auto pulled = backward({gradient_edge(losses)}, {dummy}, inputs(), Pass::Differentiable);
    backward({gradient_edge(pulled[0])}, {torch::ones_like(pulled[0])}, {gradient_edge(dummy)});
  };
  expect_error_naming(twice, {"natgrad: ", "ctc", "twice"});
}

TEST_F(Backward, OtherErrorsPassThroughAsTheyAre) {
  const auto wrong_shape = [&] { backward({gradient_edge(z)}, {torch::ones({7})}, inputs()); };
  EXPECT_THROW(wrong_shape(), c10::Error);
  EXPECT_THROW(with_graph_errors([] { throw std::out_of_range("mine"); }), std::out_of_range);
}

}  // namespace
}  // namespace natgrad::testing::backward_test
