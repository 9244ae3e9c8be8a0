#include <natgrad/curvature/curvature.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/curvature_options.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

// Every curvature of the table against what any of them must be.

namespace natgrad::testing::curvature_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order.
constexpr double kRounding = 1e-11;
// Of float32 products through a small network.
constexpr double kRoundingFloat = 1e-4;
// Of solutions of systems of condition 1e4 or less, in double.
constexpr double kSolved = 1e-9;
constexpr double kLambda = 1e-2;
// A mean over draws lies beyond this many of its standard deviations once in 1.7 million trials.
constexpr double kDeviations = 5;

struct CurvatureProperties : ::testing::TestWithParam<CurvatureOption> {
  const Curvature& curvature = *GetParam().curvature;
  Problem problem = make_problem(loss_named("CrossEntropyMean"));

  LinearOperator made(uint64_t seed = 1) const {
    const LossGraph graph(problem.loss, problem.network.parameters, seeded(seed));
    return curvature.at(graph).matrix;
  }
  Tensor some_vector() const { return randn({problem.size()}, 2501); }
};

TEST_P(CurvatureProperties, IsSymmetric) {
  const auto matrix = dense(made());
  EXPECT_LT(relative_error(matrix.t(), matrix), kRounding);
}

TEST_P(CurvatureProperties, IsSemidefiniteExactlyWhereItSaysSo) {
  const auto eigenvalues = torch::linalg_eigvalsh(dense(made()));
  const double smallest = eigenvalues[0].item<double>(), largest = eigenvalues[-1].item<double>();
  EXPECT_EQ(smallest >= -kRounding * largest, GetParam().is_semidefinite) << smallest;
}

TEST_P(CurvatureProperties, IsLinearAndDoesNotTouchItsArgument) {
  const auto C = made();
  const auto u = some_vector(), v = randn({problem.size()}, 2502), before = u.clone();
  const auto expected = 2 * C.multiply(u) - 3 * C.multiply(v);
  EXPECT_LT(relative_error(C.multiply(2 * u - 3 * v), expected), kRounding);
  EXPECT_TRUE(identical(u, before));
}

TEST_P(CurvatureProperties, RepeatsBitwiseWithFreshResults) {
  const auto C = made();
  const auto first = C.multiply(some_vector()).clone();
  C.multiply(some_vector()).fill_(std::nan(""));
  EXPECT_TRUE(identical(C.multiply(some_vector()), first));
  EXPECT_TRUE(identical(made().multiply(some_vector()), first));
  EXPECT_EQ(identical(made(2).multiply(some_vector()), first), !GetParam().is_random);
}

TEST_P(CurvatureProperties, ColumnsTogetherAreColumnsOneByOne) {
  const auto C = made();
  const auto block = randn({problem.size(), 3}, 2503);
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_LT(relative_error(C.multiply(block).select(1, k), C.multiply(block.select(1, k))),
              kRounding);
  }
}

TEST_P(CurvatureProperties, KnowsItsInverseOnlyIfItIsOne) {
  const auto damped = made() + kLambda;
  if (!damped.has_solve()) {
    expect_error([&] { damped.solve(some_vector()); }, "solver");
    return;
  }
  const auto expected = torch::linalg_solve(dense(damped), some_vector());
  EXPECT_LT(relative_error(damped.solve(some_vector()), expected), kSolved);
}

TEST_P(CurvatureProperties, WorksInFloat32) {
  auto parameters = problem.network.parameters;
  const auto x = randn({kExamples, 3}, 2504);
  const auto at = [&](torch::ScalarType dtype) {
    std::vector<Tensor> copies;
    for (const auto& p : parameters) copies.push_back(p.detach().to(dtype).requires_grad_());
    const auto hidden = F::linear(x.to(dtype), copies[0], copies[1]).tanh();
    const auto z = F::linear(hidden, copies[2], copies[3]);
    const LossGraph graph(F::cross_entropy(z, torch::tensor({0, 2, 5, 2})), copies, seeded(1));
    return curvature.at(graph).matrix.multiply(some_vector().to(dtype));
  };
  const auto product = at(torch::kFloat);
  EXPECT_EQ(product.scalar_type(), torch::kFloat);
  if (!GetParam().is_random) {
    EXPECT_LT(relative_error(product, at(torch::kDouble)), kRoundingFloat);
  }
}

// The noise that proximal damping asks for: tr(C)/N, of a matrix that is fixed.
TEST_P(CurvatureProperties, NoiseIsTheTraceOverTheExamples) {
  constexpr int kDraws = 500;
  const auto generator = seeded(3);
  const auto noise = curvature.at(problem.graph).noise;
  std::vector<Tensor> draws;
  for (int i = 0; i < kDraws; ++i) {
    draws.push_back(noise(generator).to(torch::kDouble));
    ASSERT_EQ(draws.back().dim(), 0);
  }
  const auto all = torch::stack(draws);
  EXPECT_GE(all.min().item<double>(), 0);
  if (!GetParam().is_semidefinite) return;  // its draws are cut at zero: no such mean
  const double mean = all.mean().item<double>();
  const double allowed = kDeviations * (all.std() / std::sqrt(kDraws)).item<double>();
  const auto& of = GetParam().noise_of;
  const auto whole = of ? dense(of->at(problem.graph).matrix) : dense(made());
  EXPECT_NEAR(mean, whole.trace().item<double>() / kExamples, allowed + kRounding);
}

TEST_P(CurvatureProperties, AStepIsTheDenseSolution) {
  const double lambda = GetParam().is_semidefinite ? kLambda : 10;
  NaturalGradientOptions options(1);
  options.curvature(curvature)
      .damping(Tikhonov(lambda))
      .seed(7)
      .solver(ConjugateGradient().max_iterations(500).tolerance(1e-13));
  const ParameterLayout layout(problem.network.parameters);
  const auto theta = layout.values();
  const LossGraph graph(problem.loss, problem.network.parameters, make_generator(7, 0));
  const auto matrix =
      dense(curvature.at(graph).matrix) + lambda * torch::eye(layout.size(), torch::kDouble);
  const auto expected = torch::linalg_solve(matrix, -graph.gradient());
  NaturalGradient optimizer(problem.network.parameters, options);
  optimizer.step(problem.loss);
  EXPECT_LT(relative_error(layout.values() - theta, expected), kSolved);
}

TEST_P(CurvatureProperties, InnerProductsAreThoseOfTheMatrix) {
  const LossGraph graph(problem.loss, problem.network.parameters);
  const auto C = curvature.at(graph).matrix;
  const std::vector<Tensor> columns = {randn({C.size()}, 1), randn({C.size()}, 2)};
  const auto V = torch::stack(columns, 1);
  EXPECT_LT(relative_error(C.inner(columns), V.t().mm(dense(C)).mm(V)), kSolved);
}

TEST_P(CurvatureProperties, TheDefaultDampingTakesIt) {
  NaturalGradient optimizer(problem.network.parameters,
                            NaturalGradientOptions().curvature(curvature));
  const double before = problem.loss.item<double>();
  Tensor loss = problem.loss;
  for (int i = 0; i < 20; ++i) {
    optimizer.step(loss);
    loss = problem.loss_case.loss(split(problem.network.forward(), problem.loss_case));
  }
  EXPECT_LT(loss.item<double>(), before);
}

TEST_P(CurvatureProperties, TextNamesTheSettingsAndSurvivesACopy) {
  EXPECT_EQ(curvature.clone()->describe(), curvature.describe());
  EXPECT_EQ(curvature.clone()->needs_terms(), curvature.needs_terms());
  for (const auto& other : curvature_options()) {
    if (other.name == GetParam().name) continue;
    EXPECT_NE(other.curvature->describe(), curvature.describe()) << other.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Curvatures, CurvatureProperties, ::testing::ValuesIn(curvature_options()),
                         ByName());

}  // namespace
}  // namespace natgrad::testing::curvature_test
