#include <natgrad/curvature/hessian.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>
#include "graph/second_derivative.h"

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::hessian_test {
namespace {

namespace F = torch::nn::functional;

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;

struct HessianMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);
};

TEST_P(HessianMatrix, IsTheSecondDerivativeOfTheLossInElementaryOperations) {
  const auto reference = problem.loss_case.reference(split(problem.z, problem.loss_case));
  const auto expected = testing::hessian(reference, problem.network.parameters);
  EXPECT_LT(relative_error(dense(natgrad::hessian(problem.graph)), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Cases, HessianMatrix, ::testing::ValuesIn(curvature_cases(losses())),
                         ByName());

// No term natgrad knows, and no mark.
Tensor unreadable(const Tensor& z) { return z.pow(4).mean().log() + z.square().sum().sqrt(); }

TEST(HessianTest, TakesALossThatCannotBeRead) {
  const auto network = tanh_network();
  const auto loss = unreadable(network.forward());
  const LossGraph graph(loss, network.parameters, seeded(1), Terms::WhenAsked);
  EXPECT_FALSE(graph.is_readable());
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, network.parameters)), kRounding);
  EXPECT_LT(
      relative_error(dense(natgrad::hessian(graph)), testing::hessian(loss, network.parameters)),
      kRounding);
  expect_error([&] { graph.terms(); }, "natgrad::outputs");
  expect_error([&] { graph.examples(); }, "fixed damping");
}

// Of ∇h nothing is left there but the rounding of what cancels, which once looked as if an op's
// backward detached.
TEST(HessianTest, IsThereAtAMinimum) {
  const auto x = randn({40, 3}, 31), y = randn({40}, 32);
  const auto w = torch::linalg_solve(x.t().mm(x), x.t().mv(y)).requires_grad_();
  const LossGraph graph(F::mse_loss(x.mv(w), y, F::MSELossFuncOptions(torch::kSum)), {w});
  EXPECT_LT(graph.gradient().norm().item<double>(), kRounding);
  EXPECT_LT(relative_error(dense(natgrad::hessian(graph)), 2 * x.t().mm(x)), kRounding);
}

TEST(HessianTest, HoldsThePenaltiesOnceAndTheWeightDecayOfTheGroups) {
  const auto network = tanh_network();
  const auto y = torch::tensor({0, 2, 5, 2});
  const double decay = 0.3, lambda = 50;
  const auto objective = [&] {
    auto loss = F::cross_entropy(network.forward(), y);
    for (const auto& w : network.parameters) loss = loss + 0.7 * w.pow(4).sum();
    return loss;
  };
  const auto matrix = testing::hessian(objective(), network.parameters);
  const auto gradient = gradient_of(objective(), network.parameters);
  const ParameterLayout layout(network.parameters);
  const auto theta = layout.values();
  NaturalGradient optimizer(network.parameters, NaturalGradientOptions(1)
                                                    .weight_decay(decay)
                                                    .curvature(Hessian())
                                                    .damping(Tikhonov(lambda))
                                                    .solver(ConjugateGradient().tolerance(1e-13)));
  optimizer.step(objective());
  const auto system = matrix + (decay + lambda) * torch::eye(layout.size(), torch::kDouble);
  const auto expected = torch::linalg_solve(system, -gradient - decay * theta);
  EXPECT_LT(relative_error(layout.values() - theta, expected), kRounding);
}

TEST(HessianTest, StepsOnALossThatCannotBeRead) {
  const auto network = tanh_network();
  const double lambda = 10;
  const auto loss = unreadable(network.forward());
  const auto matrix = testing::hessian(loss, network.parameters);
  const auto gradient = gradient_of(loss, network.parameters);
  const ParameterLayout layout(network.parameters);
  const auto theta = layout.values();
  NaturalGradient optimizer(network.parameters, NaturalGradientOptions(1)
                                                    .curvature(Hessian())
                                                    .damping(Tikhonov(lambda))
                                                    .solver(ConjugateGradient().tolerance(1e-13)));
  optimizer.step(loss);
  const auto system = matrix + lambda * torch::eye(layout.size(), torch::kDouble);
  EXPECT_LT(relative_error(layout.values() - theta, torch::linalg_solve(system, -gradient)),
            kRounding);
  // The default damping needs the number of examples, and says so; nothing has moved.
  NaturalGradient noisy(network.parameters,
                        NaturalGradientOptions().curvature(Hessian()).unread(Unread::Throw));
  const auto before = layout.values();
  expect_error([&] { noisy.step(unreadable(network.forward())); }, "fixed damping");
  EXPECT_TRUE(identical(layout.values(), before));
}

TEST(HessianTest, NegativeCurvatureIsReported) {
  auto w = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto saddle = [&] {
    return natgrad::outputs(w).pow(2).mul(torch::tensor({1., -3.}, torch::kDouble)).sum() +
           0.1 * natgrad::outputs(w).sum();
  };
  NaturalGradient optimizer({w},
                            NaturalGradientOptions(1).curvature(Hessian()).damping(Tikhonov(0)));
  optimizer.step(saddle());
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::NegativeCurvature);
}

}  // namespace
}  // namespace natgrad::testing::hessian_test
