#include "graph/linearization.h"

#include <natgrad/linalg/random.h>
#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"
#include "support/opaque_ops.h"

namespace natgrad::testing::linearization_test {
namespace {

using torch::autograd::impl::gradient_edge;

// A product of matrices with a few dozen entries near one, by another order of summation.
constexpr double kRounding = 1e-12;

Linearization linearize(const std::vector<Tensor>& outputs, const std::vector<Tensor>& parameters) {
  torch::autograd::edge_list edges;
  for (const auto& z : outputs) edges.push_back(gradient_edge(z));
  return Linearization(Census(edges), ParameterLayout(parameters), make_generator(1));
}

struct LinearizationOf : ::testing::TestWithParam<NetworkCase> {
  Network network = GetParam().make();
  Tensor z = network.forward();
  Tensor j = jacobian(z, network.parameters);
  Linearization linearization = linearize({z}, network.parameters);
};

TEST_P(LinearizationOf, JacobianProducts) {
  for (const uint64_t seed : {1201, 1202, 1203}) {
    const auto v = randn({j.size(1)}, seed);
    const auto product = linearization.multiply(v);
    ASSERT_EQ(product.size(), 1u);
    EXPECT_EQ(product[0].sizes(), z.sizes());
    EXPECT_LT(relative_error(product[0].reshape(-1), j.mv(v)), kRounding);
  }
}

TEST_P(LinearizationOf, TransposedProducts) {
  for (const uint64_t seed : {1211, 1212, 1213}) {
    const auto u = randn(z.sizes(), seed);
    const auto product = linearization.multiply_transposed({u});
    EXPECT_LT(relative_error(product, j.t().mv(u.view(-1))), kRounding);
  }
}

TEST_P(LinearizationOf, BasisVectorsGiveTheJacobian) {
  const auto multiply = [&](const Tensor& v) { return linearization.multiply(v)[0]; };
  EXPECT_LT(relative_error(matrix_of(multiply, j.size(1)), j), kRounding);
}

TEST_P(LinearizationOf, ProductsAreBitwiseRepeatable) {
  const auto v = randn({j.size(1)}, 1221), u = randn(z.sizes(), 1222);
  const auto jv = linearization.multiply(v)[0].clone();
  const auto jtu = linearization.multiply_transposed({u}).clone();
  linearization.multiply(randn({j.size(1)}, 1223));
  EXPECT_TRUE(identical(linearization.multiply(v)[0], jv));
  EXPECT_TRUE(identical(linearization.multiply_transposed({u}), jtu));
}

TEST_P(LinearizationOf, PassesItsOwnCheck) {
  linearization.multiply(randn({j.size(1)}, 1231));
  EXPECT_NO_THROW(linearization.verify());
  EXPECT_EQ(find_undifferentiable_op({gradient_edge(z)}), "");
}

TEST_P(LinearizationOf, DoesNotMoveParametersOrGrad) {
  const auto before = flat(network.parameters).detach().clone();
  linearization.multiply(randn({j.size(1)}, 1241));
  linearization.multiply_transposed({randn(z.sizes(), 1242)});
  EXPECT_TRUE(identical(flat(network.parameters).detach(), before));
  for (const auto& p : network.parameters) EXPECT_FALSE(p.grad().defined());
}

INSTANTIATE_TEST_SUITE_P(Networks, LinearizationOf, ::testing::ValuesIn(networks()), ByName());

TEST(LinearizationTest, OfSeveralOutputsAtOnce) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const std::vector<Tensor> outputs = {z.narrow(1, 0, 2).sin(), z.sum(), z.narrow(1, 2, 4)};
  const auto linearization = linearize(outputs, network.parameters);
  const auto v = randn({56}, 1251);
  const auto products = linearization.multiply(v);
  auto expected = torch::zeros({56}, torch::kDouble);
  std::vector<Tensor> u;
  for (size_t k = 0; k < outputs.size(); ++k) {
    const auto j = jacobian(outputs[k], network.parameters);
    EXPECT_LT(relative_error(products[k].reshape(-1), j.mv(v)), kRounding);
    u.push_back(randn(outputs[k].sizes(), 1252 + k));
    expected += j.t().mv(u[k].reshape(-1));
  }
  EXPECT_LT(relative_error(linearization.multiply_transposed(u), expected), kRounding);
}

TEST(LinearizationTest, UndefinedCotangentCountsAsZero) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto linearization = linearize({z, z.sin()}, network.parameters);
  const auto u = randn(z.sizes(), 1261);
  const auto expected = linearization.multiply_transposed({torch::zeros_like(u), u});
  EXPECT_TRUE(identical(linearization.multiply_transposed({Tensor(), u}), expected));
  const auto nothing = linearization.multiply_transposed({Tensor(), Tensor()});
  EXPECT_TRUE(identical(nothing, torch::zeros({56}, torch::kDouble)));
}

TEST(LinearizationTest, ProductsWithUnreachedOutputsAreZeros) {
  const auto network = tanh_network();
  const auto z = network.forward(), constant = parameter({2, 3}, 1);
  const auto products = linearize({z, constant.sin()}, network.parameters).multiply(randn({56}, 2));
  EXPECT_TRUE(identical(products[1], torch::zeros({2, 3}, torch::kDouble)));
}

TEST(LinearizationTest, WorksWhereGradientsAreDisabled) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto v = randn({56}, 1271);
  const auto expected = linearize({z}, network.parameters).multiply(v)[0];
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(identical(linearize({z}, network.parameters).multiply(v)[0], expected));
}

TEST(LinearizationTest, ProductsInFloatFollowTheDtype) {
  const auto w = torch::randn({kOutputs, 3}, seeded(1281)).requires_grad_();
  const auto z = torch::randn({kExamples, 3}, seeded(1282)).mm(w.t()).tanh();
  const auto linearization = linearize({z}, {w});
  const auto v = torch::randn({18}, seeded(1283));
  const auto product = linearization.multiply(v)[0];
  constexpr double kFloatRounding = 1e-6;  // three products a number, eps 6e-8
  EXPECT_EQ(product.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(product.reshape(-1), jacobian(z, {w}).mv(v)), kFloatRounding);
  EXPECT_NO_THROW(linearization.verify());
}

// ---- Ops whose derivative is zero everywhere: J = 0 is right. ----

struct StepFunctions : ::testing::TestWithParam<std::string> {
  Tensor step(const Tensor& x) const {
    if (GetParam() == "Round") return x.round();
    return GetParam() == "Sign" ? x.sign() : x.floor();
  }
};

TEST_P(StepFunctions, HaveTheJacobianZeroAndThrowNothing) {
  const auto w = parameter({kOutputs, 3}, 1291);
  const auto z = step(randn({kExamples, 3}, 1292).mm(w.t()));
  const auto linearization = linearize({z}, {w});
  EXPECT_TRUE(identical(linearization.multiply(randn({18}, 1))[0], torch::zeros_like(z).detach()));
  EXPECT_TRUE(identical(linearization.multiply_transposed({randn(z.sizes(), 2)}),
                        torch::zeros({18}, torch::kDouble)));
  EXPECT_NO_THROW(linearization.verify());
}

TEST_P(StepFunctions, LeaveOtherPathsAlone) {
  const auto w = parameter({kOutputs, 3}, 1293);
  const auto linear = randn({kExamples, 3}, 1294).mm(w.t());
  const auto z = linear.sin() + step(linear);
  const auto v = randn({18}, 1295);
  EXPECT_LT(relative_error(linearize({z}, {w}).multiply(v)[0].reshape(-1), jacobian(z, {w}).mv(v)),
            kRounding);
}

INSTANTIATE_TEST_SUITE_P(Ops, StepFunctions, ::testing::Values("Round", "Sign", "Floor"),
                         [](const auto& info) { return info.param; });

// ---- Ops whose backward is not differentiable: never a wrong answer. ----

struct OpaqueOps : ::testing::TestWithParam<OpaqueOp> {
  Tensor w = parameter({kOutputs, 3}, 1301);
  Tensor linear = randn({kExamples, 3}, 1302).mm(w.t());
  void multiply(const Tensor& z) const {
    const auto linearization = linearize({z}, {w});
    linearization.multiply(randn({18}, 1303));
    linearization.verify();
  }
};

TEST_P(OpaqueOps, AloneAreNamed) {  // J v would be 0
  expect_error_naming([&] { multiply(GetParam().apply(linear)); },
                      {"natgrad: ", GetParam().name, "not differentiable"});
}

TEST_P(OpaqueOps, BesideAnotherPathAreNamed) {  // J v would be half
  expect_error([&] { multiply(GetParam().apply(linear) + linear); }, GetParam().name);
}

TEST_P(OpaqueOps, DeepInTheNetworkAreNamed) {
  const auto deep = (GetParam().apply(linear.sin()).tanh() + linear).log_softmax(1).exp();
  expect_error([&] { multiply(deep); }, GetParam().name);
}

TEST_P(OpaqueOps, AreFoundByTestingEachNode) {
  const auto deep = GetParam().apply(linear.sin()).tanh();
  EXPECT_NE(find_undifferentiable_op({gradient_edge(deep)}).find(GetParam().name),
            std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Ops, OpaqueOps, ::testing::ValuesIn(opaque_ops()), ByName());

// Squares of such numbers underflow in float32; no op is at fault.
TEST(LinearizationTest, TinyProductsInFloatAreNotTakenForWrong) {
  for (const double size : {1e-15, 1e-25, 1e-34, 1e-38}) {
    const auto w = randn({5, 3}, 1).to(torch::kFloat).requires_grad_();
    const auto x = randn({4, 3}, 2).to(torch::kFloat);
    const auto f = linearize({size * x.mm(w.t()).tanh()}, {w});
    for (uint64_t seed = 0; seed < 20; ++seed) {
      EXPECT_NO_THROW(f.multiply(randn({15}, 100 + seed).to(torch::kFloat))) << size;
    }
  }
}

TEST(LinearizationTest, AnOpWithoutASecondDerivativeIsANamedError) {
  const auto w = parameter({kOutputs, 3}, 1311);
  const auto logits = randn({kExamples, 3}, 1312).mm(w.t()).view({kExamples, 1, kOutputs});
  const auto z = at::ctc_loss(logits.log_softmax(2), torch::ones({1, 2}, torch::kLong),
                              torch::tensor({kExamples}), torch::tensor({2}), /*blank=*/0,
                              at::Reduction::None);
  const auto use = [&] {
    const auto linearization = linearize({z}, {w});
    linearization.multiply(randn({18}, 1314));
  };
  expect_error_naming(use, {"natgrad: ", "ctc", "twice"});
}

}  // namespace
}  // namespace natgrad::testing::linearization_test
