// Poisson regression of Dobson's randomised controlled trial (1990, page 93; the example of R's
// glm): counts by outcome and treatment. By natural parameters a natural-gradient step is Newton's
// and iteratively reweighted least squares'.

#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/solvers/conjugate_gradients.h>

#include <cmath>

#include "support/oracles.h"

namespace natgrad::testing::glm_test {
namespace {

// Condition 20 and less, CG to 1e-14.
constexpr double kRounding = 1e-12;

Tensor counts() {
  return torch::tensor({18.0, 17.0, 15.0, 20.0, 10.0, 20.0, 25.0, 13.0, 12.0}, torch::kDouble);
}

/// Intercept, outcomes 2 and 3, treatments 2 and 3; the outcome's three levels run fastest.
Tensor design() {
  auto x = torch::zeros({9, 5}, torch::kDouble);
  for (int64_t i = 0; i < 9; ++i) {
    const auto outcome = i % 3, treatment = i / 3;
    x[i][0] = 1;
    if (outcome > 0) x[i][outcome] = 1;
    if (treatment > 0) x[i][2 + treatment] = 1;
  }
  return x;
}

/// θ - F⁻¹ ∇h, ε = 1.
Tensor natural_gradient_step(const Tensor& theta) {
  const LossGraph graph(nll(Poisson(design().mv(theta)), counts(), at::Reduction::Sum), {theta});
  const auto solver = ConjugateGradient().tolerance(1e-14).max_iterations(50);
  return (theta - solver.solve(fisher(graph), graph.gradient()).x).detach();
}

/// Least squares of the working response with weights μ.
Tensor reweighted_least_squares_step(const Tensor& theta) {
  const auto x = design(), eta = x.mv(theta), mu = eta.exp();
  const auto response = eta + (counts() - mu) / mu;
  return torch::linalg_solve(x.t().mm(mu.unsqueeze(1) * x), x.t().mv(mu * response));
}

Tensor start() { return torch::tensor({3.0, 0.0, 0.0, 0.0, 0.0}, torch::kDouble); }

TEST(GlmTest, StepsAreIterativelyReweightedLeastSquares) {
  auto theta = start();
  for (int k = 0; k < 6; ++k) {
    const auto expected = reweighted_least_squares_step(theta);
    theta = natural_gradient_step(theta.clone().requires_grad_());
    EXPECT_LT(relative_error(theta, expected), kRounding) << "step " << k;
  }
}

// The margins are fitted: all treatments have 50, the outcomes 63, 40 and 47 of 150.
TEST(GlmTest, ReachesTheCoefficientsOfDobsonsTrial) {
  const auto expected = torch::tensor(
      {std::log(21.0), std::log(40.0 / 63), std::log(47.0 / 63), 0.0, 0.0}, torch::kDouble);
  auto theta = start();
  for (int k = 0; k < 8; ++k) theta = natural_gradient_step(theta.clone().requires_grad_());
  EXPECT_LT((theta - expected).abs().max().item<double>(), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::glm_test
