// max_gradient_norm and max_step_norm.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/step_control/line_search.h>

#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::bounds_test {
namespace {

namespace F = torch::nn::functional;

// Of a damped solve, tight or by rows, of condition up to 1e3.
constexpr double kSolve = 1e-9;
constexpr double kRounding = 1e-12;

/// How far the first step goes.
Tensor first_step(const NaturalGradientOptions& options) {
  Training training(options);
  const auto before = training.theta();
  training.good_step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted) << training.summary().message();
  return training.theta() - before;
}

NaturalGradientOptions newton() {
  return NaturalGradientOptions(1).damping(Tikhonov(0.1)).solver(tight_solver());
}

struct GradientBound : ::testing::TestWithParam<double> {
  /// By rows and by the exact matrix.
  static std::vector<NaturalGradientOptions> forms() {
    const auto decaying = NaturalGradientOptions(1).damping(Tikhonov(0.1)).weight_decay(GetParam());
    return {
        decaying,
        NaturalGradientOptions(decaying).curvature(FisherOrGaussNewton()).solver(tight_solver())};
  }
};

TEST_P(GradientBound, ScalesTheStepAsItScalesTheGradient) {
  for (auto options : forms()) {
    Training training(options);
    training.good_step();
    const double norm = training.summary().gradient_norm;
    const auto whole = first_step(options);
    EXPECT_LT(relative_error(first_step(options.max_gradient_norm(norm / 4)), whole / 4), kSolve);
    EXPECT_LT(relative_error(first_step(options.max_gradient_norm(norm * 2)), whole), kRounding);
  }
}

INSTANTIATE_TEST_SUITE_P(WeightDecay, GradientBound, ::testing::Values(0, 0.03));

TEST(BoundsTest, TheSummaryTellsTheWholeGradientAndItsShare) {
  Training whole(newton()), bounded(newton().max_gradient_norm(1e-3));
  whole.good_step();
  bounded.good_step();
  EXPECT_EQ(bounded.summary().gradient_norm, whole.summary().gradient_norm);
  EXPECT_NEAR(bounded.summary().gradient_share, 1e-3 / whole.summary().gradient_norm, kRounding);
  EXPECT_EQ(whole.summary().gradient_share, 1);
  EXPECT_NE(bounded.summary().message().find("max_gradient_norm"), std::string::npos);
}

TEST(BoundsTest, FillGradLeavesTheWholeGradient) {
  Training training(NaturalGradientOptions().max_gradient_norm(1e-3).fill_grad(true));
  const auto expected = torch::autograd::grad({training.loss(0)}, training.parameters());
  training.good_step();
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_LT(relative_error(training.parameters()[i].grad(), expected[i]), kRounding);
  }
}

TEST(BoundsTest, OfTheStepIsItsLengthAndKeepsItsDirection) {
  constexpr double kBound = 0.01;
  const auto whole = first_step(newton()), bounded = first_step(newton().max_step_norm(kBound));
  EXPECT_NEAR(bounded.norm().item<double>(), kBound, kRounding);
  EXPECT_LT(relative_error(bounded, whole * (kBound / whole.norm())), kRounding);
  EXPECT_LT(relative_error(first_step(newton().max_step_norm(1e6)), whole), kRounding);
}

TEST(BoundsTest, OfTheStepHoldsForEveryRule) {
  constexpr double kBound = 1e-3;
  for (auto options : {NaturalGradientOptions(), presets::hessian_free(), presets::kfac(),
                       presets::krylov_subspace_descent(), presets::least_squares(),
                       NaturalGradientOptions(0.5)}) {
    Training training(options.max_step_norm(kBound));
    double start = 0, last = 0;
    for (int t = 0; t < 5; ++t) {
      const auto before = training.theta();
      training.optimizer->step([&] { return training.loss(0); });
      const double moved = (training.theta() - before).norm().item<double>();
      EXPECT_LE(moved, kBound * (1 + kRounding)) << options.describe_system();
      last = training.summary().loss;
      if (t == 0) start = last;
    }
    EXPECT_LT(last, start) << options.describe_system();
  }
}

TEST(BoundsTest, AShortenedStepOfALinearModelHasARatioOfOne) {
  const auto x = randn({20, 4}, 1), y = randn({20}, 2);
  for (const double bound : {0.5, 0.005}) {
    auto b = torch::full({4}, 3., torch::kDouble).requires_grad_();
    NaturalGradient optimizer({b}, presets::least_squares().max_step_norm(bound));
    optimizer.step([&] { return F::mse_loss(x.mv(b), y); });
    EXPECT_NEAR(*optimizer.summary().ratio, 1, 1e-6);
  }
}

TEST(BoundsTest, TheSummaryTellsTheStepsShare) {
  Training training(newton().max_step_norm(1e-3));
  training.good_step();
  EXPECT_LT(training.summary().step_share, 1);
  EXPECT_NE(training.summary().message().find("max_step_norm"), std::string::npos)
      << training.summary().message();
}

TEST(BoundsTest, TrialLossesGoWithABoundOnTheStepOnly) {
  for (auto options : {newton().damping(LevenbergMarquardt()), newton().step_rule(LineSearch())}) {
    expect_error([&] { Training bounded(NaturalGradientOptions(options).max_gradient_norm(1)); },
                 "Use max_step_norm");
    Training fine(NaturalGradientOptions(options).max_step_norm(1));
  }
}

TEST(BoundsTest, BoundsThatAreNotPositiveAreRefused) {
  expect_error([] { Training bounded(NaturalGradientOptions().max_gradient_norm(0)); },
               "max_gradient_norm is a norm > 0");
  expect_error([] { Training bounded(NaturalGradientOptions().max_step_norm(-1)); },
               "max_step_norm is a norm > 0");
}

}  // namespace
}  // namespace natgrad::testing::bounds_test
