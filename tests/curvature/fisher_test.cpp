#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::fisher_test {
namespace {

namespace F = torch::nn::functional;

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;

Tensor four() { return torch::tensor({0, 2, 5, 2}); }

struct FisherMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);
  LinearOperator fisher_operator = fisher(problem.graph);
};

TEST_P(FisherMatrix, IsTheExplicitProductOfTheClosedForm) {
  std::vector<Tensor> rows;
  for (const auto& z : problem.outputs) rows.push_back(jacobian(z, problem.network.parameters));
  const auto j = torch::cat(rows);
  const auto f_r = closed_form_fisher(problem.loss_case, problem.outputs);
  EXPECT_LT(relative_error(dense(fisher_operator), j.t().mm(f_r).mm(j)), kRounding);
}

TEST_P(FisherMatrix, ProductsAreBitwiseRepeatable) {
  const auto v = randn({fisher_operator.size()}, 2101);
  const auto first = fisher_operator.multiply(v);
  fisher_operator.multiply(randn({fisher_operator.size()}, 2102));
  EXPECT_TRUE(identical(fisher_operator.multiply(v), first));
}

INSTANTIATE_TEST_SUITE_P(Cases, FisherMatrix,
                         ::testing::ValuesIn(curvature_cases(likelihood_losses())), ByName());

// ---- F = E[∇log r ∇log rᵀ] with the expectation over the model's own targets, one by one. ----

Tensor outer_product(const Tensor& log_probability, const std::vector<Tensor>& parameters) {
  const auto score = gradient_of(log_probability, parameters);
  return log_probability.detach().exp() * score.outer(score);
}

TEST(FisherTest, IsTheExpectedOuterProductOfScoresOverAllClasses) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto log_p = problem.z - problem.z.exp().sum(1, true).log();
  auto expected = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  for (int64_t i = 0; i < kExamples; ++i) {
    for (int64_t y = 0; y < kOutputs; ++y) {
      expected += outer_product(log_p[i][y], problem.network.parameters) / double(kExamples);
    }
  }
  EXPECT_LT(relative_error(dense(fisher(problem.graph)), expected), kRounding);
}

TEST(FisherTest, IsTheExpectedOuterProductOfScoresOverAllCoins) {
  const auto problem = make_problem(loss_named("BinaryCrossEntropySum"));
  auto expected = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  const auto flat_z = problem.z.view(-1);
  for (int64_t i = 0; i < flat_z.numel(); ++i) {
    for (const double sign : {-1., 1.}) {
      const auto log_p = -(1 + (-sign * flat_z[i]).exp()).log();
      expected += outer_product(log_p, problem.network.parameters);
    }
  }
  EXPECT_LT(relative_error(dense(fisher(problem.graph)), expected), kRounding);
}

// ---- Properties. ----

TEST(FisherTest, DoesNotDependOnTheTargets) {
  const auto network = tanh_network();
  const auto z = network.forward();
  const LossGraph one(F::cross_entropy(z, four()), network.parameters);
  const LossGraph other(F::cross_entropy(z, four().flip(0)), network.parameters);
  EXPECT_GT(relative_error(one.gradient(), other.gradient()), 0.1);
  EXPECT_TRUE(identical(dense(fisher(one)), dense(fisher(other))));
}

TEST(FisherTest, ThrowsForTheUsersOwnLoss) {
  for (const auto* name : {"OwnErrorOfCubes", "OwnLossBesideALikelihood"}) {
    const auto problem = make_problem(loss_named(name));
    expect_error([&] { fisher(problem.graph); }, "likelihood");
  }
}

TEST(FisherTest, IsFiniteAtExtremeLogits) {
  const auto w = parameter({kOutputs, 3}, 2111);
  const auto z = 1e4 * randn({kExamples, 3}, 2112).mm(w.t());
  for (const auto& loss :
       {F::cross_entropy(z, four()), F::binary_cross_entropy_with_logits(z, torch::ones_like(z))}) {
    EXPECT_TRUE(all_finite(dense(fisher(LossGraph(loss, {w})))));
  }
}

TEST(FisherTest, OutlivesTheGraphItWasMadeFrom) {
  const auto network = tanh_network();
  auto graph =
      std::make_unique<LossGraph>(F::cross_entropy(network.forward(), four()), network.parameters);
  const auto expected = dense(fisher(*graph));
  const auto f = fisher(*graph);
  graph.reset();
  EXPECT_TRUE(identical(dense(f), expected));
}

TEST(FisherTest, OptionAnswersTheSameOperator) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const Fisher option;
  EXPECT_TRUE(identical(dense(option.at(problem.graph).matrix), dense(fisher(problem.graph))));
  EXPECT_EQ(option.clone()->describe(), option.describe());
}

}  // namespace
}  // namespace natgrad::testing::fisher_test
