#include "graph/layers.h"
#include <torch/csrc/autograd/variable.h>
#include "graph/backward.h"
#include "graph/example_rows.h"
#include "graph/layer_factors.h"

#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/graph_readings.h"

namespace natgrad::testing::layers_test {
namespace {

// Sums of a few hundred products, in another order than the engine's.
constexpr double kRounding = 1e-12;

torch::autograd::edge_list roots_of(const Tensor& z) {
  return {torch::autograd::impl::gradient_edge(z)};
}

Layers layers_of(const Tensor& z, const std::vector<Tensor>& parameters) {
  return find_layers(Census(roots_of(z)), ParameterLayout(parameters));
}

/// What a layer's δ and its activations say of the gradients of its parameters.
void add_gradients(const Layer& layer, const Tensor& delta, const std::vector<Tensor>& parameters,
                   std::vector<Tensor>& gradients) {
  if (layer.kind == Layer::Kind::Embedding) {  // as rows of one example that has them all
    auto& sum = gradients[*layer.weight];
    add_weight_rows(sum.view({1, -1}), layer, delta, ExampleOrder::Major, sum.sizes());
  } else if (layer.weight) {
    const auto& w = parameters[*layer.weight];
    const auto [left, right] = weight_factors(layer, delta, w.sizes());
    gradients[*layer.weight] += torch::einsum("mglr,mglc->grc", {left, right}).reshape(w.sizes());
  }
  if (layer.bias) {
    const auto& b = parameters[*layer.bias];
    gradients[*layer.bias] += bias_rows(layer, delta, b.sizes()).sum(0).reshape(b.sizes());
  }
}

struct LayersOfNetworks : ::testing::TestWithParam<ExampleNetworkCase> {
  ExampleNetwork network = GetParam().make();
  Tensor z = network.forward(network.x);
  Layers found = layers_of(z, network.parameters);
};

TEST_P(LayersOfNetworks, AreFound) { EXPECT_EQ(found.layers.size(), GetParam().layers); }

TEST_P(LayersOfNetworks, AccountForTheirParametersGradients) {
  const auto u = randn(z.sizes(), 3001);
  const auto& parameters = network.parameters;
  std::vector<Tensor> gradients, expected;
  for (const auto& p : parameters) gradients.push_back(torch::zeros_like(p).detach());
  torch::autograd::edge_list edges;
  for (const auto& layer : found.layers) edges.push_back(layer.output);
  const auto deltas = backward(roots_of(z), {u}, edges);
  {
    const torch::NoGradGuard no_grad;
    for (size_t k = 0; k < edges.size(); ++k) {
      add_gradients(found.layers[k], deltas[k], parameters, gradients);
    }
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!found.covers[i]) continue;
    const auto gradient = gradient_of((z * u).sum(), {parameters[i]});
    EXPECT_LT(relative_error(gradients[i].reshape(-1), gradient), kRounding) << "parameter " << i;
  }
}

TEST_P(LayersOfNetworks, HaveRowsThatFitTheirTensors) {
  for (const auto& layer : found.layers) {
    const bool is_lookup = layer.kind == Layer::Kind::Embedding;
    const bool has_input = layer.weight.has_value() && !is_lookup;
    EXPECT_EQ(layer.input.defined(), has_input || layer.kind == Layer::Kind::Scale);
    EXPECT_EQ(layer.lookup.index.defined(), is_lookup);
    if (has_input) {
      EXPECT_EQ(layer.input.size(0), layer.rows);
    }
    EXPECT_TRUE(layer.weight || layer.bias);
    EXPECT_EQ(layer.rows % layer.batch, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, LayersOfNetworks, ::testing::ValuesIn(example_networks()),
                         ByName());

TEST(LayersTest, TellWhatTheyAre) {
  const auto w = parameter({3, 4}, 1), b = parameter({3}, 2), k = parameter({2, 1, 3}, 3);
  const auto x = randn({5, 4}, 4), signal = randn({5, 1, 7}, 5);
  const auto linear = layers_of(torch::linear(x, w, b), {b, w}).layers.at(0);
  EXPECT_EQ(linear.kind, Layer::Kind::Linear);
  EXPECT_EQ(linear.weight, 1u);
  EXPECT_EQ(linear.bias, 0u);
  EXPECT_FALSE(linear.is_input_by_output);
  EXPECT_TRUE(identical(linear.input, x));
  const auto convolution = layers_of(torch::conv1d(signal, k, {}, 2), {k}).layers.at(0);
  EXPECT_EQ(convolution.kind, Layer::Kind::Convolution);
  EXPECT_EQ(convolution.geometry.stride, std::vector<int64_t>{2});
  EXPECT_FALSE(convolution.geometry.transposed);
  EXPECT_FALSE(convolution.bias);
}

TEST(LayersTest, FunctionalWeightsAreInputByOutput) {
  const auto w = parameter({4, 3}, 1);
  EXPECT_TRUE(layers_of(randn({5, 4}, 2).mm(w), {w}).layers.at(0).is_input_by_output);
}

TEST(LayersTest, LookupsTellTheirRowsAndExamples) {
  const auto table = parameter({7, 4}, 1);
  const auto words = torch::arange(15).remainder(7).view({5, 3});
  const auto layer = layers_of(torch::embedding(table, words), {table}).layers.at(0);
  EXPECT_EQ(layer.kind, Layer::Kind::Embedding);
  EXPECT_EQ(layer.rows, 15);
  EXPECT_EQ(layer.batch, 5);
  EXPECT_TRUE(identical(layer.lookup.index, words.flatten()));
}

TEST(LayersTest, PositionsOfAllExamplesAreLookedUpWhereTheyAreAdded) {
  const auto table = parameter({4, 2}, 1);
  const auto z = randn({5, 3, 2}, 2) + torch::embedding(table, torch::tensor({2, 0, 1}));
  const auto layer = layers_of(z, {table}).layers.at(0);
  EXPECT_EQ(layer.batch, 5);
  EXPECT_TRUE(identical(layer.lookup.index, torch::tensor({2, 0, 1}).repeat({5})));
}

TEST(LayersTest, RowsChosenByOtherMeansAreNotCovered) {
  const auto table = parameter({4, 2}, 1);
  const auto mask = torch::tensor({true, false, true, true});
  const auto i = torch::tensor({0, 3}), j = torch::tensor({1, 0});
  for (const auto& z :
       {table.index({mask}), table.index({i, j}), table.index_select(1, j),
        torch::embedding(table, i, -1, /*scale_grad_by_freq=*/true),
        torch::embedding(table, i, -1, false, /*sparse=*/true), table.narrow(0, 0, 2)}) {
    EXPECT_EQ(layers_of(z, {table}).covers, std::vector<bool>{false}) << z.grad_fn()->name();
  }
}

TEST(LayersTest, FlattenedSequencesKeepTheirBatch) {
  const auto w = parameter({3, 4}, 1), b = parameter({3}, 2);
  const auto layer = layers_of(torch::linear(randn({5, 6, 4}, 3), w, b), {w, b}).layers.at(0);
  EXPECT_EQ(layer.batch, 5);
  EXPECT_EQ(layer.rows, 30);
}

TEST(LayersTest, ABiasAddedToAProductIsTheLayersOwn) {
  const auto w = parameter({3, 4}, 1), b = parameter({3}, 2);
  const auto found = layers_of(torch::matmul(randn({5, 6, 4}, 3), w.t()) + b, {w, b});
  ASSERT_EQ(found.layers.size(), 1u);
  EXPECT_EQ(found.layers[0].bias, 1u);
}

TEST(LayersTest, AParameterThatIsTheOutputItselfIsNotCovered) {
  const auto table = parameter({5, 3}, 1);
  EXPECT_EQ(layers_of(table, {table}).covers, std::vector<bool>{false});
}

TEST(LayersTest, ATransposedParameterThatIsTheOutputItselfIsNotCovered) {
  const auto table = parameter({3, 5}, 1);
  EXPECT_EQ(layers_of(table.t(), {table}).covers, std::vector<bool>{false});
}

TEST(LayersTest, AWeightThatIsAlsoPenalisedInTheOutputsIsNotCovered) {
  const auto w = parameter({3, 4}, 1);
  const auto z = torch::linear(randn({5, 4}, 2), w) + w.square().sum();
  EXPECT_EQ(layers_of(z, {w}).covers, std::vector<bool>{false});
}

TEST(LayersTest, UnusedAndFrozenParametersAreCovered) {
  const auto w = parameter({3, 4}, 1), unused = parameter({2}, 2), frozen = randn({3}, 3);
  const auto found = layers_of(torch::linear(randn({5, 4}, 4), w, frozen), {w, unused, frozen});
  EXPECT_EQ(found.covers, std::vector<bool>(3, true));
}

TEST(LayersTest, CastsArePassed) {
  const auto w = parameter({3, 4}, 1);
  const auto z = torch::linear(randn({5, 4}, 2).to(torch::kFloat), w.to(torch::kFloat));
  EXPECT_EQ(layers_of(z, {w}).covers, std::vector<bool>{true});
}

}  // namespace
}  // namespace natgrad::testing::layers_test
