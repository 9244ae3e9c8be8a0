// What solvers and damping do to the invariance of a step under affine maps (Martens, "New
// perspectives", section 10), against dense steps in both systems of parameters.
#include <natgrad/curvature/marquardt_diagonal.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/preconditioners/fisher_diagonal.h>
#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/step_control/line_search.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include "theory/small_network.h"

namespace natgrad::testing::invariance_of_steps_test {
namespace {

// Conjugate gradients on five parameters to rounding.
constexpr double kRounding = 1e-11;

struct Steps : ::testing::Test {
  const Tensor x = randn({30, 5}, 1), y = (randn({30}, 2) > 0).to(torch::kDouble);
  const Tensor w = randn({5}, 3).requires_grad_();
  const Tensor A = random_spd(5, 20, 4), d = randn({5}, 5).exp(), Q = random_orthogonal(5, 6);
  const std::function<Tensor()> loss = [this] {
    return torch::binary_cross_entropy_with_logits(x.mv(w), y);
  };

  double difference(const Tensor& map, const NaturalGradientOptions& options, int steps = 1) const {
    return invariance_of_steps({w}, loss, Affine(map, randn({5}, 7)), options, steps).difference;
  }
};

TEST_F(Steps, AreTheSameWithoutDampingAndWithATightSolver) {
  for (const auto& map : {A, d, Q}) {
    EXPECT_LT(difference(map, plain_natural_gradient(0.7)), kRounding);
    EXPECT_LT(difference(map, plain_natural_gradient(0.7), 4), kRounding);
  }
}

TEST_F(Steps, UnderTikhonovsDampingAreThoseOfDenseSolves) {
  const auto p = x.mv(w.detach()).sigmoid();
  const auto F = x.t().mm((p * (1 - p)).unsqueeze(1) * x) / 30, g = x.t().mv(p - y) / 30;
  const auto I = 0.3 * torch::eye(5, torch::kDouble);
  const auto in_theta = torch::linalg_solve(F + I, g);
  const auto in_gamma = A.mv(torch::linalg_solve(A.mm(F).mm(A) + I, A.mv(g)));
  const double expected = relative_error(in_gamma, in_theta);
  EXPECT_NEAR(difference(A, plain_natural_gradient(1, 0.3)) / expected, 1, kRounding);
  EXPECT_GT(expected, 0.3);
  EXPECT_LT(difference(Q, plain_natural_gradient(1, 0.3)), kRounding);
  EXPECT_GT(difference(d, plain_natural_gradient(1, 0.3)), 0.05);
}

TEST_F(Steps, UnderMarquardtsDampingKeepRescalings) {
  const auto options =
      plain_natural_gradient(1, 0.3).damping_matrix(MarquardtDiagonal().exact(true).floor(1e-12));
  EXPECT_LT(difference(d, options), kRounding);
  EXPECT_GT(difference(Q, options), 0.01);
  EXPECT_GT(difference(A, options), 0.01);
}

TEST_F(Steps, OfConjugateGradientsThatStopEarlyKeepRotations) {
  const auto truncated = [](int64_t k) {
    return NaturalGradientOptions(1)
        .damping(Tikhonov(0))
        .solver(ConjugateGradient().max_iterations(k).tolerance(0));
  };
  EXPECT_LT(difference(Q, truncated(2)), kRounding);
  EXPECT_GT(difference(A, truncated(2)), 0.05);
  EXPECT_GT(difference(d, truncated(2)), 0.05);
  EXPECT_LT(difference(A, truncated(5)), 1e-6);  // all of the space
}

// Of a preconditioner that is a diagonal of the examples' gradients the iterates know no scales,
// but for what λ does; they know rotations then.
TEST_F(Steps, OfConjugateGradientsPreconditionedByADiagonalKeepRescalings) {
  const auto options = plain_natural_gradient(1, 1e-8)
                           .solver(ConjugateGradient().max_iterations(2).tolerance(0))
                           .preconditioner(FisherDiagonal().exponent(1));
  EXPECT_LT(difference(d, options), 1e-5);
  EXPECT_GT(difference(Q, options), 0.01);
  EXPECT_GT(difference(A, options), 0.01);
}

TEST_F(Steps, OfTheDefaultOptimizerKeepRotations) {
  EXPECT_LT(difference(Q, NaturalGradientOptions(), 3), kRounding);
  EXPECT_GT(difference(A, NaturalGradientOptions(), 3), 0.05);
  EXPECT_GT(difference(d, NaturalGradientOptions(), 3), 5e-3);
}

TEST_F(Steps, MayBeTriedByLosses) {
  const auto options = plain_natural_gradient(1).step_rule(LineSearch());
  EXPECT_LT(difference(A, options, 3), kRounding);
  const auto judged =
      NaturalGradientOptions(1).damping(LevenbergMarquardt()).solver(tight_solver());
  EXPECT_LT(difference(Q, judged, 3), kRounding);
}

TEST_F(Steps, TellWhatHappenedInBoth) {
  const auto before = w.detach().clone();
  const auto report = invariance_of_steps({w}, loss, Affine(A), plain_natural_gradient(1, 0.3), 2);
  EXPECT_EQ(report.in_theta.step, 2);
  EXPECT_EQ(report.in_gamma.outcome, StepOutcome::Accepted);
  for (const auto* text : {"A of [5, 5]", "in θ: step 2: Accepted", "in γ: step 2: Accepted"}) {
    EXPECT_NE(report.message().find(text), std::string::npos) << report.message();
  }
  EXPECT_TRUE(identical(w.detach(), before));
}

TEST_F(Steps, AreRefusedWithAReason) {
  expect_error([&] { difference(A, NaturalGradientOptions(), 0); }, "at least one step");
  const auto options = NaturalGradientOptions(1)
                           .solver(KrylovSubspace())
                           .damping(Tikhonov(0))
                           .step_rule(SubspaceMinimisation());
  expect_error([&] { difference(A, options); }, "no gradients at trial points");
}

}  // namespace
}  // namespace natgrad::testing::invariance_of_steps_test
