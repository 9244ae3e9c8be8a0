// Fisher matrix = Gauss-Newton matrix for softmax, Bernoulli and Gaussian outputs (Martens, section
// 8). Each side goes its own way: G by double backward on the loss alone, knowing no likelihood; F
// by the likelihood's closed form alone, knowing no loss.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::equivalence_test {
namespace {

namespace F = torch::nn::functional;

// Theory's bar; seen: 2.5e-16 to 1e-13.
constexpr double kRounding = 1e-10;

struct Equivalence : ::testing::TestWithParam<CurvatureCase> {};

TEST_P(Equivalence, FisherIsGaussNewton) {
  const auto problem = make_problem(GetParam().network, GetParam().loss);
  const auto g = dense(gauss_newton(problem.graph));
  EXPECT_GT(g.norm().item<double>(), 0);
  EXPECT_LT(relative_error(dense(fisher(problem.graph)), g), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Cases, Equivalence,
                         ::testing::ValuesIn(curvature_cases(matching_losses())), ByName());

TEST(EquivalenceTest, SplittingTheSoftmaxOffTheLossLeavesGaussNewtonAloneForMarkedOutputs) {
  // With softmax inside L the mark gives the same G as the likelihood's own node.
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto marked = make_problem(loss_named("OwnProbabilitiesByHand"));
  const auto named = make_problem(loss_named("CrossEntropyMean"));
  EXPECT_LT(relative_error(dense(gauss_newton(marked.graph)), dense(fisher(named.graph))),
            kRounding);
}

TEST(EquivalenceTest, TheEmpiricalFisherIsAnotherMatrix) {
  // A guard against an oracle that cannot fail: the outer products of the observed scores differ.
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  auto empirical = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  const auto y = torch::tensor({0, 2, 5, 2});
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto loss = F::cross_entropy(problem.z.narrow(0, i, 1), y.narrow(0, i, 1));
    const auto score = gradient_of(loss, problem.network.parameters);
    empirical += score.outer(score) / double(kExamples);
  }
  EXPECT_GT(relative_error(dense(fisher(problem.graph)), empirical), 0.1);
}

}  // namespace
}  // namespace natgrad::testing::equivalence_test
