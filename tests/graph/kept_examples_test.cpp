#include "graph/kept_examples.h"
#include <torch/csrc/autograd/variable.h>
#include "graph/backward.h"
#include "graph/example_order.h"
#include "graph/layers.h"

#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::kept_examples_test {
namespace {

torch::autograd::edge_list roots_of(const Tensor& z) {
  return {torch::autograd::impl::gradient_edge(z)};
}

bool keeps(const Tensor& z) { return detail::keep_examples(detail::Census(roots_of(z)), kBatch); }

/// z of [kBatch, ...] from x of [kBatch, width].
struct Form {
  std::string name;
  std::function<Tensor(const Tensor& x)> forward;
  int64_t width = kBatch;
};

Tensor weight(int64_t out, int64_t in, uint64_t seed) { return parameter({out, in}, seed, 0.5); }
/// A first layer of as many outputs as examples: shapes alone tell nothing.
Tensor below(const Tensor& x) { return torch::linear(x, weight(kBatch, x.size(1), 1)); }
Tensor above(const Tensor& h) { return torch::linear(h, weight(3, h.size(1), 2)); }
Tensor images(const Tensor& x) { return x.view({kBatch, 1, 6, 6}); }

std::vector<Form> kept_forms() {
  const auto kernel = parameter({2, 1, 3, 3}, 3), gain = parameter({2}, 4),
             bias = parameter({2}, 5), table = parameter({7, 4}, 22);
  return {
      {"Perceptron", [](auto& x) { return above(below(x).tanh()); }},
      {"WithBiases",
       [=](auto& x) { return torch::linear(below(x).relu(), weight(2, kBatch, 6), bias); }},
      {"InputByOutput", [](auto& x) { return above(torch::gelu(x.mm(weight(5, 5, 7)))); }},
      {"Residual",
       [](auto& x) {
         const auto h = below(x);
         return above(h + torch::linear(h.tanh(), weight(kBatch, kBatch, 8)));
       }},
      {"Dropout", [](auto& x) { return above(torch::dropout(below(x), 0.5, /*train=*/true)); }},
      {"ConvolutionPoolingFlattened",
       [=](auto& x) {
         const auto maps = torch::conv2d(images(x), kernel, bias);
         return above(torch::max_pool2d(maps.relu(), 2).flatten(1));
       },
       36},
      {"AveragePooling",
       [=](auto& x) {
         const auto maps = torch::avg_pool2d(torch::conv2d(images(x), kernel), 2);
         return above(torch::adaptive_avg_pool2d(maps, {2, 1}).flatten(1));
       },
       36},
      {"Embeddings",
       [=](auto& x) {
         const auto words = (10 * x).floor().remainder(7).to(torch::kLong);
         const auto one = torch::embedding(table, words.select(1, 0));
         const auto mean = torch::embedding(table, words).tanh().mean(1);
         return above(torch::cat({one, x, mean * table.index({words.select(1, 1)})}, 1));
       }},
      {"ProductsOfEmbeddings",
       [=](auto& x) {
         const auto words = (10 * x).floor().remainder(7).to(torch::kLong);
         const auto all = torch::embedding(table, words);
         return torch::bmm(all, table.index({words.select(1, 0)}).unsqueeze(2)).squeeze(2);
       }},
      {"GroupNorm",
       [=](auto& x) {
         const auto maps = torch::conv2d(images(x), kernel);
         return above(torch::group_norm(maps, 2, gain, bias).relu().flatten(1));
       },
       36},
      {"BatchNormInEvaluation",
       [=](auto& x) {
         const auto mean = randn({2}, 9), variance = randn({2}, 10).exp();
         const auto maps = torch::conv2d(images(x), kernel);
         return above(torch::batch_norm(maps, gain, bias, mean, variance, false, 0.1, 1e-5, false)
                          .flatten(1));
       },
       36},
  };
}

/// Rows that belong to several examples, or to another one than their number says. Where they have
/// as many rows as there are examples.
std::vector<Form> mixing_forms() {
  const auto adjacency = randn({kBatch, kBatch}, 11);
  return {
      {"CentredByTheBatch",
       [](auto& x) {
         const auto h = below(x);
         return above(h - h.mean(0));
       }},
      {"Transposed", [](auto& x) { return above(below(x).t()); }},
      {"TransposedAndBack",
       [](auto& x) { return torch::linear(below(x).t(), weight(kBatch, kBatch, 12)).t(); }},
      {"AdjacencyFromTheLeft", [=](auto& x) { return above(adjacency.mm(below(x))); }},
      {"ParameterFromTheLeft", [](auto& x) { return above(weight(5, 5, 13).mm(below(x))); }},
      {"GramMatrix",
       [](auto& x) {
         const auto h = below(x);
         return above(h.mm(h.t()));
       }},
      {"RowsLookedUpInTheBatch",
       [](auto& x) {
         return above(below(x).index({torch::tensor({1, 0, 2, 4, 3})}));
       }},
      {"EmbeddingOfTheBatch",
       [](auto& x) {
         return above(torch::embedding(below(x), torch::tensor({1, 0, 2, 4, 3})));
       }},
      {"SumOfTheBatch",
       [](auto& x) {
         const auto h = below(x);
         return above(h.unsqueeze(2).expand({-1, -1, kBatch}).contiguous().tanh().sum(0));
       }},
      {"SoftmaxOverTheBatch", [](auto& x) { return above(below(x).softmax(0)); }},
      {"CumulativeSum", [](auto& x) { return above(below(x).cumsum(0)); }},
      {"TurnedOver", [](auto& x) { return above(below(x).flip(0)); }},
      {"FirstRowForAll", [](auto& x) { return above(below(x) * below(x).narrow(0, 0, 1)); }},
      {"ColumnByRow",
       [](auto& x) {
         const auto h = below(x);
         return above(h.select(1, 0) * h);
       }},
      {"BatchNormInTraining",
       [](auto& x) {
         return above(torch::batch_norm(below(x), {}, {}, {}, {}, true, 0.1, 1e-5, false));
       }},
  };
}

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

struct Kept : ::testing::TestWithParam<Form> {};
struct Mixing : ::testing::TestWithParam<Form> {};

TEST_P(Kept, IsSeen) { EXPECT_TRUE(keeps(GetParam().forward(randn({5, GetParam().width}, 14)))); }
TEST_P(Mixing, IsNotTakenForKept) { EXPECT_FALSE(keeps(GetParam().forward(randn({5, 5}, 15)))); }

// An oracle for the table: the network's own Jacobian has blocks off its diagonal.
TEST_P(Mixing, DoesMix) {
  const auto x = randn({kBatch, kBatch}, 16).requires_grad_();
  const auto z = GetParam().forward(x);
  const auto J = jacobian(z, {x}).view({kBatch, -1, kBatch, kBatch}).abs().sum({1, 3});
  EXPECT_GT((J - J.diag().diag()).sum().item<double>(), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Forms, Kept, ::testing::ValuesIn(kept_forms()), ByName());
INSTANTIATE_TEST_SUITE_P(Forms, Mixing, ::testing::ValuesIn(mixing_forms()), ByName());

// [N, T, in] is N·T rows to a linear layer.
TEST(KeptExamplesTest, FlattenedSequencesAreNot) {
  const auto x = randn({kBatch, 3, 4}, 17);
  const auto h = torch::linear(x, weight(6, 4, 18), parameter({6}, 19));
  EXPECT_FALSE(keeps(above(h.flatten(1))));
}

// ---- Wherever it is true the probe agrees. ----

struct KeptOrProbed : ::testing::TestWithParam<ExampleNetworkCase> {};

TEST_P(KeptOrProbed, Agree) {
  const auto network = GetParam().make();
  const auto z = network.forward(network.x);
  if (!keeps(z)) return;
  const auto found =
      detail::find_layers(detail::Census(roots_of(z)), ParameterLayout(network.parameters));
  torch::autograd::edge_list edges;
  for (const auto& layer : found.layers) edges.push_back(layer.output);
  const auto u = randn(z.sizes(), 20);
  const auto scales = detail::random_scales(kBatch, u.options());
  const auto deltas = detail::backward(roots_of(z), {u}, edges);
  const auto rescaled = detail::backward(roots_of(z), {detail::scale_examples(u, scales)}, edges);
  for (size_t k = 0; k < edges.size(); ++k) {
    const auto order = detail::order_of(found.layers[k], deltas[k], rescaled[k], scales);
    EXPECT_TRUE(order == detail::ExampleOrder::Major) << "layer " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, KeptOrProbed, ::testing::ValuesIn(example_networks()), ByName());

}  // namespace
}  // namespace natgrad::testing::kept_examples_test
