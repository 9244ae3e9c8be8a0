// The local quadratic model M(δ) = ½ δᵀGδ + ∇hᵀδ + h(θ), its minimiser and those who minimise it
// approximately (Martens, "New perspectives", sections 3 and 9). Section 3 prints "the exact
// minimum G⁻¹∇h"; section 9 has the minus that is meant.

#include <natgrad/diagnostics/local_model.h>
#include <natgrad/graph/loss_graph.h>
#include "theory/small_network.h"

namespace natgrad::testing::quadratic_model_test {
namespace {

// Conjugate gradients to a residual of 1e-14 on condition numbers up to 1e5.
constexpr double kSolve = 1e-9;
// Differences of objectives of order one.
constexpr double kRounding = 1e-12;

struct QuadraticModel : ::testing::Test {
  const SmallNetwork network{511, 40, 2};

  Tensor h() const { return nll(Gaussian(network.forward()), network.targets); }
  Tensor g = gradient_of(h(), network.parameters);
  Tensor G = hessian_of_linearised_model(
      network.forward(), network.parameters,
      [this](const Tensor& z) { return 0.5 * (z - network.targets).square().sum(1).mean(); });

  const LossGraph graph{h(), network.parameters};
  const LocalModel M = quadratic_model(graph, GaussNewton());
};

TEST_F(QuadraticModel, AFullStepIsItsMinimiser) {
  const auto expected = -torch::linalg_solve(G, g);
  const auto theta = network.theta();
  NaturalGradient optimizer(network.parameters, plain_natural_gradient(1).curvature(GaussNewton()));
  optimizer.step(h());
  const auto delta = network.theta() - theta;
  EXPECT_LT(relative_error(delta, expected), kSolve);
  const double gain = -0.5 * number(g.dot(torch::linalg_solve(G, g)));
  EXPECT_NEAR(optimizer.summary().solver.quadratic / gain, 1, kSolve);
}

TEST_F(QuadraticModel, PromisesWhatItsMinimiserDoes) {
  const auto delta = -torch::linalg_solve(G, g);
  const double gain = -0.5 * number(g.dot(torch::linalg_solve(G, g)));
  EXPECT_NEAR(M.change(delta) / gain, 1, kSolve);
  EXPECT_NEAR(M.change(-delta) / gain, -3, kSolve);  // the other sign climbs, three times as far
}

TEST_F(QuadraticModel, IsLoweredByEveryIterationAwayFromZero) {
  // What Hessian-free optimisation stops early: lower at each iteration, and longer.
  double lowest = 0, longest = 0;
  for (int64_t k = 1; k <= 12; ++k) {
    const auto solver = ConjugateGradient().max_iterations(k).tolerance(0);
    const auto delta = solver.solve(gauss_newton(graph), -graph.gradient()).x;
    EXPECT_LT(M.change(delta), lowest) << "k = " << k;
    EXPECT_GT(number(delta.norm()), longest) << "k = " << k;
    EXPECT_LT(number(g.dot(delta)), 0);
    lowest = M.change(delta);
    longest = number(delta.norm());
  }
}

TEST(QuadraticModelTest, OfSoftmaxHasTheMinimiserOfLeastNorm) {
  // G is singular, as one number may be added to all logits; ∇h lies in its range.
  const auto x = randn({30, 3}, 5121);
  const auto w = parameter({4, 3}, 5122, 0.5);
  const auto y = torch::randint(4, {30}, seeded(5123), torch::TensorOptions(torch::kLong));
  const LossGraph graph(nll(Categorical(x.mm(w.t())), y), {w});
  const auto G = dense(gauss_newton(graph));
  const auto expected = -torch::linalg_pinv(G, kRounding, /*hermitian=*/true).mv(graph.gradient());
  const auto solution = tight_solver().solve(gauss_newton(graph), -graph.gradient());
  EXPECT_LT(std::abs(smallest_eigenvalue(G)), kRounding);
  EXPECT_LT(relative_error(solution.x, expected), kSolve);
}

// ---- Where h is quadratic, M is h, and the reduction ratio is one. ----

struct QuadraticObjective : ::testing::TestWithParam<double> {};

TEST_P(QuadraticObjective, IsReducedByWhatTheModelWithoutDampingPromises) {
  const double lambda = GetParam();
  const auto x = randn({20, 4}, 5131), y = randn({20, 3}, 5132);
  const auto w = parameter({3, 4}, 5133);
  const auto h = [&] { return nll(Gaussian(x.mm(w.t())), y); };
  NaturalGradient optimizer({w}, plain_natural_gradient(1, lambda));
  const double before = number(h());
  const auto start = w.detach().clone();
  optimizer.step(h());
  const double step = number((w.detach() - start).square().sum());
  const double damped = optimizer.summary().solver.quadratic;  // M(δ) - h + ½λ‖δ‖²
  const double reduction = number(h()) - before;
  EXPECT_NEAR(reduction / (damped - 0.5 * lambda * step), 1, kRounding);
  EXPECT_EQ(std::abs(reduction / damped - 1) < kRounding, lambda == 0);
}

INSTANTIATE_TEST_SUITE_P(Dampings, QuadraticObjective, ::testing::Values(0, 0.3));

}  // namespace
}  // namespace natgrad::testing::quadratic_model_test
