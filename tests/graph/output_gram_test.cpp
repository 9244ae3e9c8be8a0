#include "graph/output_gram.h"
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>

#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/graph_readings.h"
#include "support/losses.h"

// The Gram matrix of rows Jᵢᵀu against that of the explicit rows, of a Jacobian by plain autograd.

namespace natgrad::testing::output_gram_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order.
constexpr double kRounding = 1e-12;
// δ and activations of small networks in float32.
constexpr double kRoundingFloat = 1e-5;
constexpr int64_t kDirections = 3;

/// u_diᵀ Jᵢ as rows, [D·N, P], from the Jacobian of z of [N, K]; u: [D, N, K].
Tensor explicit_rows(const Tensor& z, const std::vector<Tensor>& parameters, const Tensor& u) {
  const auto j = jacobian(z, parameters).view({z.size(0), z.size(1), -1});
  return torch::einsum("dnk,nkp->dnp", {u, j}).flatten(0, 1);
}

struct GramOfNetworks : ::testing::TestWithParam<ExampleNetworkCase> {
  ExampleNetwork network = GetParam().make();
  Tensor z = network.forward(network.x);
  Tensor u = randn({kDirections, kBatch, kClasses}, 3101);

  LossGraph graph_of(const Tensor& outputs) const {
    return LossGraph(F::mse_loss(outputs, torch::zeros_like(outputs)), network.parameters);
  }
};

TEST_P(GramOfNetworks, IsThatOfTheExplicitRows) {
  const auto rows = explicit_rows(z, network.parameters, u);
  EXPECT_LT(relative_error(output_gram(graph_of(z), {u}), rows.mm(rows.t())), kRounding);
}

TEST_P(GramOfNetworks, OfOneDirectionWithExamplesOfNoWeight) {
  const auto one = u.narrow(0, 0, 1) * torch::tensor({1., 0., 2., 0., 1.}).view({1, kBatch, 1});
  const auto rows = explicit_rows(z, network.parameters, one);
  const auto K = output_gram(graph_of(z), {one});
  EXPECT_LT(relative_error(K, rows.mm(rows.t())), kRounding);
  EXPECT_EQ(K[1].norm().item<double>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Networks, GramOfNetworks, ::testing::ValuesIn(example_networks()),
                         ByName());

struct GramTest : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
};

TEST_F(GramTest, OfSeveralOutputsAddsUp) {
  const auto left = z.narrow(1, 0, 2), right = z.narrow(1, 2, 4);
  const auto a = outputs(left), b = outputs(right);
  const LossGraph graph(a.square().sum() + b.exp().sum(), network.parameters);
  const auto u = randn({kDirections, kExamples, 2}, 1), v = randn({kDirections, kExamples, 4}, 2);
  std::vector<Tensor> ordered(2);
  ordered[output_of(graph, left)] = u;
  ordered[output_of(graph, right)] = v;
  auto rows = explicit_rows(z, network.parameters, torch::cat({u, v}, 2));
  EXPECT_LT(relative_error(output_gram(graph, ordered), rows.mm(rows.t())), kRounding);
  ordered[output_of(graph, right)] = Tensor();
  rows = explicit_rows(left, network.parameters, u);
  EXPECT_LT(relative_error(output_gram(graph, ordered), rows.mm(rows.t())), kRounding);
}

// A pass for each row: the rows are the gradients through all inputs.
TEST_F(GramTest, OfExamplesThatAreCoupledIsThatOfTheWholeJacobian) {
  const auto w = parameter({5, 3}, 1), v = parameter({2, 5}, 2), x = randn({kExamples, 3}, 3);
  const auto hidden =
      torch::batch_norm(torch::linear(x, w), {}, {}, {}, {}, true, 0.1, 1e-5, false);
  const auto coupled = torch::linear(hidden.tanh(), v);
  const LossGraph graph(outputs(coupled).square().mean(), {w, v});
  const auto u = randn({kDirections, kExamples, 2}, 4);
  const auto rows = explicit_rows(coupled, {w, v}, u);
  EXPECT_LT(relative_error(output_gram(graph, {u}), rows.mm(rows.t())), kRounding);
}

TEST_F(GramTest, InFloat32IsInDoubleAndAsAccurateAsItsActivations) {
  std::vector<Tensor> parameters, copies;
  const auto x = randn({kBatch, 4}, 5);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{6, 4}, {6}, {3, 6}, {3}}) {
    parameters.push_back(parameter(shape, 6 + parameters.size()));
    copies.push_back(parameters.back().detach().to(torch::kFloat).requires_grad_());
  }
  const auto forward = [&](const std::vector<Tensor>& p) {
    const auto hidden = torch::linear(x.to(p[0].dtype()), p[0], p[1]).tanh();
    return torch::linear(hidden, p[2], p[3]);
  };
  const auto u = randn({kDirections, kBatch, 3}, 7);
  const LossGraph graph(outputs(forward(copies)).square().mean(), copies);
  const auto K = output_gram(graph, {u.to(torch::kFloat)});
  EXPECT_EQ(K.scalar_type(), torch::kDouble);
  const auto rows = explicit_rows(forward(parameters), parameters, u);
  EXPECT_LT(relative_error(K, rows.mm(rows.t())), kRoundingFloat);
}

TEST_F(GramTest, OfOutputsWithoutExamplesInDimensionZeroIsRefused) {
  const LossGraph graph(outputs(z.t()).square().sum(), network.parameters);
  expect_error([&] { output_gram(graph, {randn({2, kExamples, kOutputs}, 8)}); }, "dimension 0");
  expect_error([&] { output_gram(graph, {}); }, "[D, N, ...]");
  expect_error([&] { output_gram(graph, {randn({2, kOutputs, 3}, 9)}); }, "but got shape");
}

}  // namespace
}  // namespace natgrad::testing::output_gram_test
