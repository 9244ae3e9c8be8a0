#include "graph/squared_example_gradients.h"
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/likelihoods/categorical.h>

#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/graph_readings.h"

namespace natgrad::testing::squared_example_gradients_test {
namespace {

// Sums of a few hundred products, in another order.
constexpr double kRounding = 1e-12;

struct SquaredExampleGradients : ::testing::TestWithParam<ExampleNetworkCase> {};

// Each example is run by itself, by plain autograd.
TEST_P(SquaredExampleGradients, AreTheWeightedSquares) {
  const auto network = GetParam().make();
  const auto y = torch::arange(kBatch).remainder(kClasses);
  const auto weights = torch::linspace(0.5, 2, kBatch, torch::kDouble);
  const LossGraph graph(torch::cross_entropy_loss(network.forward(network.x), y),
                        network.parameters);
  auto expected = torch::zeros({graph.parameters().size()}, torch::kDouble);
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto z = network.forward(network.x.narrow(0, i, 1));
    const auto loss = torch::cross_entropy_loss(z, y.narrow(0, i, 1)) / kBatch;
    expected += weights[i] * gradient_of(loss, network.parameters).square();
  }
  EXPECT_LT(relative_error(squared_example_gradients(graph, weights), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Networks, SquaredExampleGradients, ::testing::ValuesIn(example_networks()),
                         ByName());

TEST(SquaredExampleGradientsTest, NeedAWeightForEachExample) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto weights = torch::ones({kExamples + 1}, torch::kDouble);
  expect_error([&] { squared_example_gradients(problem.graph, weights); }, "as many weights");
}

}  // namespace
}  // namespace natgrad::testing::squared_example_gradients_test
