#include <natgrad/curvature/tonga.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/example_gradients.h"

namespace natgrad::testing::tonga_test {
namespace {

namespace F = torch::nn::functional;

// Of solutions of systems of condition 1e4 or less, in double.
constexpr double kSolved = 1e-10;
constexpr double kLambda = 1e-3;

struct TongaTest : ::testing::Test {
  Problem problem = make_problem(loss_named("CrossEntropyMean"));
  Tensor gradients = example_gradients(problem);
  Tensor covariance(bool centred) const {
    const auto c = empirical_fisher_matrix(
        gradients, torch::full({kExamples}, 1. / kExamples, torch::kDouble));
    const auto mean = gradients.sum(0);
    return centred ? c - mean.outer(mean) : c;
  }
  Tensor eye() const { return torch::eye(problem.size(), torch::kDouble); }
};

TEST_F(TongaTest, SolvesTheDampedSystemAsTheDenseFormDoes) {
  const auto b = randn({problem.size()}, 2401);
  for (const auto moment : {Moment::Uncentred, Moment::Centred}) {
    const auto damped = Tonga().moment(moment).at(problem.graph).matrix + kLambda;
    const auto dense_form = covariance(moment == Moment::Centred) + kLambda * eye();
    EXPECT_LT(relative_error(dense(damped), dense_form), kSolved);
    EXPECT_LT(relative_error(damped.solve(b), torch::linalg_solve(dense_form, b)), kSolved);
  }
}

TEST_F(TongaTest, OfARankKeepsTheLeadingEigenvectors) {
  const auto [values, vectors] = torch::linalg_eigh(covariance(false));
  const int64_t rank = 2, p = problem.size();
  const auto kept = vectors.narrow(1, p - rank, rank);
  const auto expected = kept.mm(values.narrow(0, p - rank, rank).diag()).mm(kept.t());
  EXPECT_LT(relative_error(dense(Tonga().rank(rank).at(problem.graph).matrix), expected), kSolved);
}

TEST_F(TongaTest, AsAnOptionTakesTheExactStepWhateverTheSolver) {
  const auto network = tanh_network();
  const auto y = torch::tensor({0, 2, 5, 2});
  NaturalGradient optimizer(network.parameters, NaturalGradientOptions(1)
                                                    .curvature(Tonga())
                                                    .damping(Tikhonov(kLambda))
                                                    .solver(ConjugateGradient().max_iterations(1)));
  const auto before = ParameterLayout(network.parameters).values();
  optimizer.step(F::cross_entropy(network.forward(), y));
  const auto g = gradients.sum(0);
  const auto step = torch::linalg_solve(covariance(false) + kLambda * eye(), -g);
  EXPECT_LT(relative_error(ParameterLayout(network.parameters).values() - before, step), kSolved);
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::Converged);
}

TEST_F(TongaTest, WithoutDampingThrowsAndSaysWhy) {
  const auto C = Tonga().at(problem.graph).matrix;
  expect_error([&] { C.solve(randn({problem.size()}, 1)); }, "lambda > 0");
}

}  // namespace
}  // namespace natgrad::testing::tonga_test
