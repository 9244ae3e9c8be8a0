#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/graph/marks.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::gauss_newton_test {
namespace {

namespace F = torch::nn::functional;

// Theory's bar for a matrix in double; seen: 1e-15 to 1e-13.
constexpr double kRounding = 1e-10;

struct GaussNewtonMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);
  LinearOperator g = gauss_newton(problem.graph);
  const std::vector<Tensor>& parameters() const { return problem.network.parameters; }
};

TEST_P(GaussNewtonMatrix, IsTheHessianOfTheLinearisedModel) {
  const auto loss = [&](const Tensor& z) {
    return problem.loss_case.reference(split(z, problem.loss_case));
  };
  const auto expected = hessian_of_linearised_model(problem.z, parameters(), loss);
  EXPECT_LT(relative_error(dense(g), expected), kRounding);
}

TEST_P(GaussNewtonMatrix, IsTheExplicitProduct) {
  std::vector<Tensor> rows;
  Outputs leaves;
  for (const auto& z : problem.outputs) {
    rows.push_back(jacobian(z, parameters()));
    leaves.push_back(z.detach().clone().requires_grad_());
  }
  const auto j = torch::cat(rows);
  const auto h = hessian(problem.loss_case.reference(leaves), leaves);
  EXPECT_LT(relative_error(dense(g), j.t().mm(h).mm(j)), kRounding);
}

TEST_P(GaussNewtonMatrix, ProductsAreBitwiseRepeatable) {
  const auto v = randn({g.size()}, 2001);
  const auto first = g.multiply(v);
  g.multiply(randn({g.size()}, 2002));
  EXPECT_TRUE(identical(g.multiply(v), first));
}

TEST_P(GaussNewtonMatrix, TakesBlocksOfColumns) {
  const auto block = randn({g.size(), 3}, 2003);
  const auto product = g.multiply(block);
  ASSERT_EQ(product.sizes(), block.sizes());
  for (int64_t k = 0; k < 3; ++k) {
    const auto column = g.multiply(block.select(1, k).contiguous());
    EXPECT_LT(relative_error(product.select(1, k), column), kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GaussNewtonMatrix, ::testing::ValuesIn(curvature_cases(losses())),
                         ByName());

// ---- z as a view, a slice or a leaf: with θ = z itself, G is the loss's Hessian in θ. ----

struct ViewedLoss {
  std::string name;
  std::function<Tensor(const Tensor&)> loss;
  std::function<Tensor(const Tensor&)> reference;
};

std::ostream& operator<<(std::ostream& out, const ViewedLoss& viewed) { return out << viewed.name; }

Tensor surprise(const Tensor& z, const Tensor& y) {
  return (z.exp().sum(1).log() - z.gather(1, y.unsqueeze(1)).squeeze(1)).mean();
}

struct OutputsThatAreViews : ::testing::TestWithParam<ViewedLoss> {};

TEST_P(OutputsThatAreViews, GaussNewtonIsTheHessian) {
  const auto theta = parameter({kExamples, kOutputs}, 2011);
  const LossGraph graph(GetParam().loss(theta), {theta});
  const auto expected = hessian(GetParam().reference(theta), {theta});
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), expected), kRounding);
}

Tensor six() { return torch::tensor({0, 2, 3, 2, 1, 1}); }
Tensor four() { return torch::tensor({0, 2, 5, 2}); }

const std::vector<ViewedLoss> kViews = {
    {"Leaf", [](auto& t) { return F::cross_entropy(t, four()); },
     [](auto& t) { return surprise(t, four()); }},
    {"Reshaped",
     [](auto& t) {
       return F::cross_entropy(t.view({6, 4}), six());
     },
     [](auto& t) {
       return surprise(t.reshape({6, 4}), six());
     }},
    {"Transposed", [](auto& t) { return F::cross_entropy(t.t(), six()); },
     [](auto& t) { return surprise(t.t(), six()); }},
    {"Slice",
     [](auto& t) {
       return F::mse_loss(t.slice(1, 1, 6, 2), torch::ones({4, 3}));
     },
     [](auto& t) { return (t.slice(1, 1, 6, 2) - 1).pow(2).mean(); }},
    {"OverlappingSlices",
     [](auto& t) {
       return F::cross_entropy(t.slice(1, 0, 4), torch::tensor({0, 2, 3, 2})) +
              F::cross_entropy(t.slice(1, 1, 6), torch::tensor({0, 2, 3, 2}));
     },
     [](auto& t) {
       return surprise(t.slice(1, 0, 4), torch::tensor({0, 2, 3, 2})) +
              surprise(t.slice(1, 1, 6), torch::tensor({0, 2, 3, 2}));
     }},
    {"Expanded",
     [](auto& t) {
       return F::cross_entropy(t[0].unsqueeze(0).expand({4, 6}), four());
     },
     [](auto& t) {
       return surprise(t[0].unsqueeze(0).expand({4, 6}), four());
     }},
    {"MarkedView", [](auto& t) { return outputs(t.t()).exp().sum(1).log().sum(); },
     [](auto& t) { return t.t().exp().sum(1).log().sum(); }},
    {"SelectedRows",
     [](auto& t) {
       return F::cross_entropy(t.index_select(0, torch::tensor({3, 0, 3})),
                               torch::tensor({1, 2, 0}));
     },
     [](auto& t) {
       return surprise(t.index_select(0, torch::tensor({3, 0, 3})), torch::tensor({1, 2, 0}));
     }},
};

INSTANTIATE_TEST_SUITE_P(Views, OutputsThatAreViews, ::testing::ValuesIn(kViews), ByName());

// ---- Properties. ----

TEST(GaussNewtonTest, DescribesItsSize) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto g = gauss_newton(problem.graph);
  EXPECT_EQ(g.size(), 56);
  EXPECT_EQ(g.options().dtype(), torch::kDouble);
}

TEST(GaussNewtonTest, OutlivesTheGraphItWasMadeFrom) {
  const auto network = tanh_network();
  auto graph =
      std::make_unique<LossGraph>(F::cross_entropy(network.forward(), four()), network.parameters);
  const auto expected = dense(gauss_newton(*graph));
  const auto g = gauss_newton(*graph);
  graph.reset();
  EXPECT_TRUE(identical(dense(g), expected));
}

TEST(GaussNewtonTest, IsIndefiniteWhereTheLossIsNotConvex) {
  // -mse: minus a Gaussian.
  const auto network = tanh_network();
  const LossGraph graph(-F::mse_loss(network.forward(), randn({kExamples, kOutputs}, 2021)),
                        network.parameters);
  EXPECT_LT(torch::linalg_eigvalsh(dense(gauss_newton(graph))).min().item<double>(), -1e-3);
}

TEST(GaussNewtonTest, OfOneExampleHasTheRankOfItsOutputs) {
  // Faults, row 48: rank ≤ K - 1 for softmax.
  const auto w = parameter({kOutputs, 8}, 2031);
  const auto z = randn({1, 8}, 2032).mm(w.t()).tanh();
  const LossGraph graph(F::cross_entropy(z, torch::tensor({2})), {w});
  const auto eigenvalues = torch::linalg_eigvalsh(dense(gauss_newton(graph)));
  constexpr double kZero = 1e-12;  // relative to the largest
  const auto rank = (eigenvalues > kZero * eigenvalues.max()).sum().item<int64_t>();
  EXPECT_EQ(rank, kOutputs - 1);
}

TEST(GaussNewtonTest, OptionAnswersTheSameOperator) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const GaussNewton option;
  EXPECT_TRUE(
      identical(dense(option.at(problem.graph).matrix), dense(gauss_newton(problem.graph))));
  EXPECT_EQ(option.clone()->describe(), option.describe());
}

TEST(GaussNewtonTest, RejectsVectorsThatDoNotFit) {
  const auto g = gauss_newton(make_problem(loss_named("CrossEntropyMean")).graph);
  EXPECT_THROW(g.multiply(randn({55}, 1)), c10::Error);
  EXPECT_THROW(g.multiply(torch::ones({56}, torch::kFloat)), c10::Error);
}

}  // namespace
}  // namespace natgrad::testing::gauss_newton_test
