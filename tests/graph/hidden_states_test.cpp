#include <natgrad/graph/loss_graph.h>
#include "graph/hidden_state_nodes.h"
#include "graph/second_derivative.h"

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/per_example_gradients.h>
#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::hidden_states_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-13;  // a few dozen terms of a sum

using Distance = HiddenDistance;

/// A recurrent network over three time steps, with a marked state each if there is a distance.
struct Recurrent {
  std::vector<Tensor> parameters = {parameter({2, 3}, 1), parameter({3, 3}, 2), parameter({3}, 3),
                                    parameter({3, 2}, 4)};
  Tensor x = randn({3, 5, 2}, 5);
  Tensor y = torch::tensor({0, 1, 1, 0, 1});
  std::vector<Tensor> states;

  Tensor loss(std::optional<Distance> distance) {
    states.clear();
    Tensor h = torch::zeros({5, 3}, torch::kDouble);
    for (const auto& input : x.unbind()) {
      h = torch::tanh(torch::addmm(parameters[2], input, parameters[0]) + h.mm(parameters[1]));
      if (distance) h = hidden(h, *distance);
      states.push_back(h);
    }
    return F::cross_entropy(h.mm(parameters[3]), y);
  }
};

struct HiddenStates : ::testing::Test {
  LossGraph graph(std::optional<Distance> distance) {
    return {network.loss(distance), network.parameters};
  }
  Recurrent network;
};

TEST_F(HiddenStates, AreTheTensorThatWasMarked) {
  const auto h = parameter({4, 3}, 6);
  for (const auto distance : {Distance::Squared, Distance::TanhCrossEntropy}) {
    const auto marked = hidden(h, distance);
    EXPECT_TRUE(identical(marked, h));
    EXPECT_TRUE(marked.is_alias_of(h));
    EXPECT_EQ(marked.grad_fn()->name(), "natgrad::hidden");
  }
}

TEST_F(HiddenStates, PassDerivativesUnchanged) {
  const auto h = parameter({4, 3}, 6);
  const auto loss = [](const Tensor& t) { return t.logsumexp({0, 1}).pow(2); };
  const auto marked = hidden(h, Distance::TanhCrossEntropy);
  EXPECT_TRUE(identical(gradient_of(loss(marked), {h}), gradient_of(loss(h), {h})));
  EXPECT_TRUE(identical(hessian(loss(marked), {h}), hessian(loss(h), {h})));
}

TEST_F(HiddenStates, WithoutAGraphAreLeftAlone) {
  const auto h = parameter({4, 3}, 6);
  const auto constant = h.detach();
  EXPECT_TRUE(hidden(constant).is_same(constant));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(hidden(h).is_same(h));
}

TEST_F(HiddenStates, DisturbNothingThatIsReadOffTheLoss) {
  const auto plain = graph(std::nullopt);
  for (const auto distance : {Distance::Squared, Distance::TanhCrossEntropy}) {
    const auto marked = graph(distance);
    ASSERT_EQ(marked.terms().size(), 1U);
    EXPECT_TRUE(identical(marked.gradient(), plain.gradient()));
    EXPECT_TRUE(identical(per_example_gradients(marked), per_example_gradients(plain)));
    EXPECT_EQ(captured_parameters(marked), captured_parameters(plain));
    EXPECT_TRUE(identical(dense(gauss_newton(marked)), dense(gauss_newton(plain))));
  }
}

TEST_F(HiddenStates, AreFoundInTheOrderOfTime) {
  const auto states = hidden_states(graph(Distance::Squared));
  ASSERT_EQ(states.size(), network.states.size());
  for (size_t t = 0; t < states.size(); ++t) {
    EXPECT_EQ(states[t].edge, torch::autograd::impl::gradient_edge(network.states[t]));
    EXPECT_FALSE(states[t].distance_hessian.defined());
  }
}

TEST_F(HiddenStates, AreFoundBelowOutputsOfTheUsersOwnLoss) {
  const auto W = parameter({3, 3}, 7);
  const auto h = hidden(torch::tanh(randn({4, 3}, 8).mm(W)));
  const LossGraph own(outputs(h.mm(W)).pow(4).mean(), {W});
  EXPECT_EQ(hidden_states(own).size(), 1U);
}

TEST_F(HiddenStates, ThatTheLossDoesNotDependOnAreNotFound) {
  const auto W = parameter({3, 3}, 7);
  const auto x = randn({4, 3}, 8);
  const auto unused = hidden(torch::tanh(x.mm(W)));
  const LossGraph without(x.mm(W).pow(2).mean(), {W}, Terms::WhenAsked);
  EXPECT_TRUE(hidden_states(without).empty());
}

/// H_D of a state with these values in the graph.
Tensor distance_hessian_at(const Tensor& values, Distance distance) {
  const auto leaf = values.clone().requires_grad_(true);
  const auto h = hidden(leaf, distance);
  const LossGraph graph(h.sum(), {leaf}, Terms::WhenAsked);
  return hidden_states(graph).at(0).distance_hessian;
}

TEST(HiddenDistanceTest, OfCrossEntropyHasTheSecondDerivativeOfItsFormula) {
  const auto values = torch::tensor({{0.01, 0.3}, {0.5, 0.98}}, torch::kDouble);
  const auto second_derivative = [&](bool tanh) {
    const auto moved = values.clone().requires_grad_(true);
    const auto unit = [&](const Tensor& h) { return tanh ? (1 + h) / 2 : h; };
    const auto q = unit(values), p = unit(moved);
    return hessian(-(q * p.log() + (1 - q) * (1 - p).log()).sum(), {moved}).diagonal();
  };
  EXPECT_LT(relative_error(distance_hessian_at(values, Distance::LogisticCrossEntropy).view(-1),
                           second_derivative(false)),
            kRounding);
  EXPECT_LT(relative_error(distance_hessian_at(values, Distance::TanhCrossEntropy).view(-1),
                           second_derivative(true)),
            kRounding);
}

TEST(HiddenDistanceTest, OfSaturatedUnitsIsBoundedByTheRounding) {
  for (const auto type : {torch::kDouble, torch::kFloat}) {
    const double rounding = type == torch::kDouble ? std::numeric_limits<double>::epsilon()
                                                   : std::numeric_limits<float>::epsilon();
    const auto logistic = torch::tensor({{0., 1.}}, type);
    const auto tanh = torch::tensor({{-1., 1.}}, type);
    const auto bound = torch::full({1, 2}, 1 / rounding, type);
    EXPECT_TRUE(identical(distance_hessian_at(logistic, Distance::LogisticCrossEntropy), bound));
    EXPECT_TRUE(identical(distance_hessian_at(tanh, Distance::TanhCrossEntropy), bound));
  }
}

TEST(HiddenDistanceTest, OfUnitsBeyondItsRangeThrows) {
  const auto values = torch::tensor({{-0.5, 1.5}}, torch::kDouble);
  expect_error([&] { distance_hessian_at(values, Distance::LogisticCrossEntropy); },
               "from -0.5 to 1.5");
  expect_error([&] { distance_hessian_at(values, Distance::TanhCrossEntropy); }, "[-1, 1]");
}

TEST_F(HiddenStates, ChangedInPlaceThrow) {
  const auto changed = graph(Distance::TanhCrossEntropy);
  network.states[1].detach().mul_(0.5);
  expect_error([&] { hidden_states(changed); }, "in place");
}

TEST_F(HiddenStates, OfAFreedGraphThrow) {
  const auto loss = network.loss(Distance::TanhCrossEntropy);
  const LossGraph freed(loss, network.parameters);
  loss.backward();
  expect_error([&] { hidden_states(freed); }, "has been freed");
}

TEST_F(HiddenStates, WithoutExamplesThrow) {
  expect_error([] { hidden(torch::ones({}, torch::kDouble)); }, "a single number");
  expect_error([] { hidden(Tensor()); }, "undefined");
}

}  // namespace
}  // namespace natgrad::testing::hidden_states_test
