#include <natgrad/curvature/classical_gauss_newton.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::classical_gauss_newton_test {
namespace {

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;

struct ClassicalMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);

  /// s of all entries of all outputs, flat: 1/N where the loss is the user's own.
  Tensor weights() const {
    std::vector<Tensor> weights;
    for (const auto& z : problem.outputs) {
      weights.push_back(problem.loss_case.has_likelihood()
                            ? torch::zeros_like(z).detach()
                            : torch::full_like(z.detach(), 1. / double(z.size(0))));
    }
    for (const auto& term : problem.loss_case.terms) weights[term.output] += term.weights;
    return flat(weights);
  }
};

TEST_P(ClassicalMatrix, IsTheWeightedSumOfJacobianProducts) {
  std::vector<Tensor> rows;
  for (const auto& z : problem.outputs) rows.push_back(jacobian(z, problem.network.parameters));
  const auto j = torch::cat(rows);
  const auto expected = j.t().mm(weights().unsqueeze(1) * j);
  EXPECT_LT(relative_error(dense(classical_gauss_newton(problem.graph)), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Cases, ClassicalMatrix, ::testing::ValuesIn(curvature_cases([] {
                           auto chosen = likelihood_losses();
                           chosen.push_back(loss_named("OwnErrorOfCubes"));
                           chosen.push_back(loss_named("OwnLossOfTwoOutputs"));
                           return chosen;
                         }())),
                         ByName());

}  // namespace
}  // namespace natgrad::testing::classical_gauss_newton_test
