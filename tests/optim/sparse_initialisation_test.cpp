#include <natgrad/optim/sparse_initialisation.h>
#include <torch/torch.h>

#include <cmath>
#include <limits>

#include "support/oracles.h"

namespace natgrad::testing::sparse_initialisation_test {
namespace {

namespace nn = torch::nn;

// Standard errors: a correct draw stays within them except for one seed in 10^8, and seeds are
// fixed.
constexpr double kStandardErrors = 6;

double number(const Tensor& t) { return t.item<double>(); }

Tensor by_unit(const Tensor& weight) { return weight.detach().flatten(1); }

Tensor connections_of(const Tensor& weight) { return by_unit(weight).ne(0).sum(1); }

bool each_is(const Tensor& counts, int64_t expected) {
  return counts.eq(expected).all().item<bool>();
}

nn::Linear wide_layer(uint64_t seed, const SparseInitialisation& options = {}) {
  nn::Linear layer(300, 200);
  sparse_initialisation(*layer, make_generator(seed), options);
  return layer;
}

TEST(SparseInitialisationTest, EachUnitHasFifteenConnectionsAndNoBias) {
  const auto layer = wide_layer(1);
  EXPECT_TRUE(each_is(connections_of(layer->weight), 15));
  EXPECT_TRUE(each_is(layer->bias, 0));
}

TEST(SparseInitialisationTest, ConnectionsAreStandardNormal) {
  const auto weight = by_unit(wide_layer(2)->weight).to(torch::kDouble);
  const auto drawn = weight.index({weight.ne(0)});
  const auto n = static_cast<double>(drawn.numel());
  EXPECT_LT(std::abs(number(drawn.mean())), kStandardErrors / std::sqrt(n));
  EXPECT_LT(std::abs(number(drawn.square().mean()) - 1), kStandardErrors * std::sqrt(2 / n));
  EXPECT_LT(std::abs(number(drawn.pow(4).mean()) - 3), kStandardErrors * std::sqrt(96 / n));
}

TEST(SparseInitialisationTest, EveryInputIsAsLikely) {
  // How many of the 200 units use an input is binomial, with a share of 15/300 of them.
  const auto uses = by_unit(wide_layer(3)->weight).ne(0).sum(0).to(torch::kDouble);
  const double share = 15. / 300, variance = 200 * share * (1 - share);
  EXPECT_LT(number((uses - 200 * share).abs().max()), kStandardErrors * std::sqrt(variance));
  EXPECT_GT(number(uses.var()), variance / 2);  // and not the same ones for all
  EXPECT_LT(number(uses.var()), variance * 2);
}

TEST(SparseInitialisationTest, AUnitWithFewInputsUsesThemAll) {
  nn::Linear layer(6, 4);
  sparse_initialisation(*layer, make_generator(4));
  EXPECT_TRUE(each_is(connections_of(layer->weight), 6));
}

TEST(SparseInitialisationTest, OptionsForTanhUnits) {
  const auto logistic = wide_layer(5);
  const auto tanh = wide_layer(5, SparseInitialisation().scale(0.25).bias(0.5));
  EXPECT_TRUE(identical(tanh->weight, 0.25 * logistic->weight));  // a power of two: exact
  EXPECT_TRUE(each_is(2 * tanh->bias, 1));
  const auto few = wide_layer(5, SparseInitialisation().connections(3));
  EXPECT_TRUE(each_is(connections_of(few->weight), 3));
}

TEST(SparseInitialisationTest, ChannelsOfConvolutions) {
  nn::Sequential model(nn::Conv1d(nn::Conv1dOptions(8, 6, 5)),
                       nn::Conv2d(nn::Conv2dOptions(8, 6, 3).groups(2)),
                       nn::Conv3d(nn::Conv3dOptions(2, 3, 2).bias(false)));
  sparse_initialisation(*model, make_generator(6));
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_TRUE(each_is(connections_of(model[k]->parameters()[0]), 15)) << k;
  }
  EXPECT_TRUE(each_is(model[1]->parameters()[1], 0));
}

TEST(SparseInitialisationTest, LeavesOtherParametersAndFlagsAlone) {
  const nn::Sequential head(nn::LayerNorm(nn::LayerNormOptions({20})), nn::Linear(20, 3));
  nn::Module model;
  model.register_module("0", nn::Linear(20, 20));
  model.register_module("1", head);
  auto parameters = model.named_parameters();
  parameters["1.0.weight"].detach().fill_(0.7);
  parameters["0.weight"].set_requires_grad(false);
  const auto norm = parameters["1.0.weight"].detach().clone();
  sparse_initialisation(model, make_generator(7));
  EXPECT_TRUE(identical(parameters["1.0.weight"], norm));
  EXPECT_TRUE(each_is(connections_of(parameters["1.1.weight"]), 15));
  EXPECT_FALSE(parameters["0.weight"].requires_grad());
  EXPECT_TRUE(parameters["1.1.weight"].requires_grad() && parameters["1.1.weight"].is_leaf());
}

TEST(SparseInitialisationTest, TheSeedDecidesInEveryDtype) {
  nn::Linear wide(300, 200);
  wide->to(torch::kDouble);
  sparse_initialisation(*wide, make_generator(8));
  EXPECT_TRUE(identical(wide->weight.to(torch::kFloat), wide_layer(8)->weight));
  EXPECT_FALSE(identical(wide_layer(9)->weight, wide_layer(8)->weight));
}

TEST(SparseInitialisationTest, DoesNotDisturbTheUsersGenerator) {
  nn::Linear layer(20, 5);
  torch::manual_seed(5);
  const auto expected = torch::rand({3});
  torch::manual_seed(5);
  sparse_initialisation(*layer, make_generator(1));
  EXPECT_TRUE(identical(torch::rand({3}), expected));
}

TEST(SparseInitialisationTest, BadInputThrowsAndSaysWhatToDo) {
  nn::Linear layer(20, 5);
  const auto with = [&](const SparseInitialisation& options) {
    sparse_initialisation(*layer, make_generator(1), options);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  expect_error([&] { with(SparseInitialisation().connections(0)); }, "connections = 0");
  expect_error([&] { with(SparseInitialisation().scale(0)); }, "above 0, but it is 0");
  expect_error([&] { with(SparseInitialisation().scale(infinity)); }, "finite");
  expect_error([&] { with(SparseInitialisation().bias(-infinity)); }, "finite");
  nn::Tanh tanh;
  expect_error([&] { sparse_initialisation(*tanh, make_generator(1)); },
               "has no linear or convolutional layer");
}

}  // namespace
}  // namespace natgrad::testing::sparse_initialisation_test
