// docs/faults.md, rows 1 to 13: each provoked in a step, and what must be unchanged is compared bit
// for bit. Those of a solver alone are in tests/solvers.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>

#include "support/opaque_ops.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_numeric_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct BrokenLoss {
  std::string name;
  std::function<Tensor(Training&)> loss;
};

std::ostream& operator<<(std::ostream& out, const BrokenLoss& broken) { return out << broken.name; }

Tensor loss_of(const Tensor& z) { return F::cross_entropy(z, Training::labels(90)); }

/// The batch on which training has diverged.
Tensor broken_loss(Training& training) { return loss_of(training.outputs(90) * kNaN); }

// ---- Row 1: the loss is not finite. ----

const std::vector<BrokenLoss> kBrokenLosses = {
    {"NaNOutputs", broken_loss},
    {"InfiniteOutputs", [](Training& t) { return loss_of(t.outputs(90) * kInfinity); }},
    {"InfiniteLoss", [](Training& t) { return t.loss(90) * kInfinity; }},
    {"MinusInfiniteLoss", [](Training& t) { return -t.loss(90) * kInfinity; }},
    {"OverflowOfSquares",
     [](Training& t) {
       return F::mse_loss(1e200 * t.outputs(90), torch::zeros({12, 4}));
     }},
    {"OverflowInsideTheUsersOwnLoss",  // inf / inf, on outputs that are finite
     [](Training& t) {
       const auto e = outputs(1e4 * t.outputs(90)).exp();
       return (e / e.sum(1, true)).pow(2).mean();
     }},
};

struct FaultsRow1 : ::testing::TestWithParam<BrokenLoss> {};

TEST_P(FaultsRow1, AtTheStartLeavesEverythingUnchanged) {
  Training faulty, sound;
  const Snapshot before(faulty.parameters(), faulty.model.ptr(), faulty.optimizer.get());
  const auto returned = faulty.optimizer->step(GetParam().loss(faulty));
  before.expect_unchanged();
  EXPECT_FALSE(std::isfinite(returned.item<double>()));
  EXPECT_EQ(faulty.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_FALSE(faulty.summary().restored);
  EXPECT_EQ(faulty.summary().step, 0);
  faulty.good_step();
  sound.good_step();
  EXPECT_TRUE(same_bits(faulty.theta(), sound.theta()));
}

TEST_P(FaultsRow1, AfterAnAcceptedStepTakesThatStepBack) {
  Training training;
  training.good_step();
  const auto before_the_bad_step = training.theta();
  training.good_step();
  ASSERT_FALSE(same_bits(training.theta(), before_the_bad_step));
  training.optimizer->step(GetParam().loss(training));
  EXPECT_EQ(training.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_TRUE(training.summary().restored);
  EXPECT_TRUE(same_bits(training.theta(), before_the_bad_step));
}

// A closure tells more: the loss was no number before the last step either.
TEST_P(FaultsRow1, AClosureThatIsNoNumberBeforeTheLastStepEitherTakesNothingBack) {
  Training training;
  training.good_step();
  const auto after_one = training.theta();
  training.optimizer->step([&] { return GetParam().loss(training); });
  EXPECT_EQ(training.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_FALSE(training.summary().restored);
  EXPECT_TRUE(same_bits(training.theta(), after_one));
}

INSTANTIATE_TEST_SUITE_P(Losses, FaultsRow1, ::testing::ValuesIn(kBrokenLosses),
                         [](const auto& info) { return info.param.name; });

TEST(FaultsNumeric, Row1RestoresOneStepOnly) {
  Training training;
  training.good_step();
  const auto after_one = training.theta();
  training.good_step();
  training.optimizer->step(broken_loss(training));
  training.optimizer->step(broken_loss(training));
  EXPECT_FALSE(training.summary().restored);
  EXPECT_TRUE(same_bits(training.theta(), after_one));
}

TEST(FaultsNumeric, Row1DoesNotOverwriteParametersThatTheUserEdited) {
  Training training;
  training.good_step();
  {
    const torch::NoGradGuard no_grad;
    training.parameters()[1].zero_();
  }
  const auto edited = training.theta();
  training.optimizer->step(broken_loss(training));
  EXPECT_EQ(training.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_FALSE(training.summary().restored);
  EXPECT_TRUE(same_bits(training.theta(), edited));
}

TEST(FaultsNumeric, Row1TrainingGoesOnAfterwards) {
  Training training;
  for (int k = 0; k < 3; ++k) training.good_step();
  training.optimizer->step(broken_loss(training));
  const double start = training.loss(0).item<double>();
  for (int k = 0; k < 20; ++k) training.optimizer->step(training.loss(0));
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_LT(training.loss(0).item<double>(), 0.5 * start);
}

TEST(FaultsNumeric, Row1NeverTakesAStepBackOnAFiniteLoss) {
  Training training;
  training.good_step();
  const auto before = training.theta();
  training.optimizer->step(training.loss(1) * 1e6);
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_FALSE(same_bits(training.theta(), before));
}

// ---- Row 2: the gradient is not finite, the loss is. ----

/// 0, with a gradient in the parameters that is infinite (or, through the zero factor, NaN).
Tensor steep_zero(const Training& training, double factor) {
  const auto number = training.parameters()[0].view(-1)[0];
  return ((number - number.detach()) * factor).sqrt();
}

Tensor steep_loss(Training& training, double factor) {
  const auto first_class = torch::tensor({1., 0., 0., 0.}, torch::kDouble);
  const auto z = training.outputs(91) + steep_zero(training, factor) * first_class;
  return F::cross_entropy(z, Training::labels(91));
}

struct FaultsRow2 : ::testing::TestWithParam<double> {};

TEST_P(FaultsRow2, LeavesEverythingUnchanged) {
  expect_no_trace([](Training& training) {
    const auto loss = steep_loss(training, GetParam());
    ASSERT_TRUE(std::isfinite(loss.item<double>()));
    training.optimizer->step(loss);
    EXPECT_EQ(training.summary().outcome, StepOutcome::NonFiniteGradient);
    EXPECT_FALSE(std::isfinite(training.summary().gradient_norm));
    EXPECT_FALSE(training.summary().restored);
  });
}

INSTANTIATE_TEST_SUITE_P(Slopes, FaultsRow2, ::testing::Values(1., 0.),
                         [](const auto& info) { return info.param > 0 ? "Infinite" : "NaN"; });

// ---- Row 3: the gradient is zero. ----

TEST(FaultsNumeric, Row3ZeroGradientIsConvergedWithoutASolve) {
  expect_no_trace([](Training& training) {
    const auto z = training.outputs(92);
    training.optimizer->step(F::mse_loss(z, z.detach()));
    EXPECT_EQ(training.summary().outcome, StepOutcome::ZeroGradient);
    EXPECT_EQ(training.summary().gradient_norm, 0);
    EXPECT_EQ(training.summary().step_norm, 0);
    EXPECT_EQ(training.summary().solver.products, 0);
  });
}

TEST(FaultsNumeric, Row3ZeroGradientAndZeroJacobianAreNoZeroOverZero) {
  expect_no_trace([](Training& training) {
    training.optimizer->step(F::mse_loss(0 * training.outputs(92), torch::zeros({12, 4})));
    EXPECT_EQ(training.summary().outcome, StepOutcome::ZeroGradient);
  });
}

// ---- Row 4: in the default optimizer, a step that led to a loss that is not finite. ----

TEST(FaultsNumeric, Row4RejectedStepRaisesLambda) {
  // The noise of a step is an independent draw, at most a few times its mean; the rejection is ten
  // times, of which the running mean keeps 95%.
  constexpr double kAtLeast = 5;
  Training training;
  for (int k = 0; k < 5; ++k) training.good_step();
  const double before = training.summary().lambda;
  training.optimizer->step(broken_loss(training));
  ASSERT_TRUE(training.summary().restored);
  training.good_step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_GT(training.summary().lambda, kAtLeast * before);
}

TEST(FaultsNumeric, Row4RejectedStepCountsAsNotTaken) {
  Training training;
  training.good_step();
  training.good_step();
  training.optimizer->step(broken_loss(training));
  training.good_step();
  EXPECT_TRUE(all_finite(training.theta()));
  EXPECT_FALSE(training.summary().restored);
}

// ---- Row 5: products with the curvature are NaN, loss and gradient are finite. ----

Tensor poisoned_loss(Training& training) {
  return F::cross_entropy(PoisonedIdentity::apply(training.outputs(93)), Training::labels(93));
}

/// Score rows need no products with a second derivative.
NaturalGradientOptions by_products() {
  return NaturalGradientOptions().curvature(FisherOrGaussNewton());
}

TEST(FaultsNumeric, Row5NaNProductsAtTheStartLeaveEverythingUnchanged) {
  Training faulty(by_products()), sound(by_products());
  const Snapshot before(faulty.parameters(), faulty.model.ptr(), faulty.optimizer.get());
  faulty.optimizer->step(poisoned_loss(faulty));
  before.expect_unchanged();
  EXPECT_EQ(faulty.summary().outcome, StepOutcome::SolverFailed);
  EXPECT_EQ(faulty.summary().solver.termination, Termination::NonFinite);
  EXPECT_TRUE(std::isfinite(faulty.summary().gradient_norm));
  faulty.good_step();
  sound.good_step();
  EXPECT_TRUE(same_bits(faulty.theta(), sound.theta()));
}

TEST(FaultsNumeric, Row5NaNProductsAfterAcceptedStepsLeaveNoTrace) {
  expect_no_trace(
      [](Training& training) {
        training.optimizer->step(poisoned_loss(training));
        EXPECT_EQ(training.summary().outcome, StepOutcome::SolverFailed);
      },
      by_products());
}

// ---- Row 6: negative curvature from the start leaves no descent direction to use. ----

TEST(FaultsNumeric, Row6NegativeCurvatureIsReportedAndLeavesNoTrace) {
  const auto options = NaturalGradientOptions()
                           .curvature(GaussNewton())
                           .solver(ConjugateGradient().max_iterations(10).tolerance(1e-2))
                           .damping(Proximal().fixed_lambda(1e-6));
  expect_no_trace(
      [](Training& training) {
        training.optimizer->step(-training.loss(93));
        EXPECT_EQ(training.summary().outcome, StepOutcome::SolverFailed);
        EXPECT_EQ(training.summary().solver.termination, Termination::NegativeCurvature);
      },
      options);
}

/// h = ½ xᵀ diag(2, -1) x + bᵀx at x = 0, where ∇h = b.
NaturalGradient indefinite_problem(const Tensor& x, double shift) {
  return NaturalGradient({x}, NaturalGradientOptions(1)
                                  .curvature(Hessian())
                                  .solver(ConjugateGradient().max_iterations(10).tolerance(1e-8))
                                  .damping(Tikhonov(shift)));
}
Tensor indefinite_loss(const Tensor& x, const Tensor& b) {
  return 0.5 * (torch::tensor({2., -1.}, torch::kDouble) * x.square()).sum() + (b * x).sum();
}

TEST(FaultsNumeric, Row6NegativeCurvatureAfterAnIterationTakesTheLastIterate) {
  constexpr double kRounding = 1e-14;
  const auto x = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto b = torch::tensor({1., 0.1}, torch::kDouble);
  auto optimizer = indefinite_problem(x, 0);
  optimizer.step(indefinite_loss(x, b));
  // The first iterate: -b (bᵀb)/(bᵀAb), with bᵀb = 1.01 and bᵀAb = 1.99.
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::NegativeCurvature);
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
  EXPECT_LT(relative_error(x.detach(), -b * (1.01 / 1.99)), kRounding);
}

TEST(FaultsNumeric, Row6NegativeCurvatureAtOnceMovesNothing) {
  const auto x = torch::zeros({2}, torch::kDouble).requires_grad_();
  const auto b = torch::tensor({0.1, 1.}, torch::kDouble);
  auto optimizer = indefinite_problem(x, 0);
  const Snapshot before({x}, nullptr, &optimizer);
  optimizer.step(indefinite_loss(x, b));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::SolverFailed);
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::NegativeCurvature);
  before.expect_unchanged();
}

// ---- Rows 7 and 8: curvature of zero. ----

/// h = ½ x₀² + bᵀx: no curvature along x₁.
TEST(FaultsNumeric, Row8AnInconsistentSingularSystemGoesNowhereFar) {
  const auto b = torch::tensor({1., 1.}, torch::kDouble);
  const auto x = torch::zeros({2}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({x},
                            NaturalGradientOptions(1).curvature(Hessian()).damping(Tikhonov(0)));
  for (int k = 0; k < 3; ++k) {
    optimizer.step(0.5 * x[0].square() + (b * x).sum());
    EXPECT_LT(x.detach().norm().item<double>(), 10 * (k + 1)) << optimizer.summary().message();
  }
}

TEST(FaultsNumeric, Row7WithoutAnyCurvatureNothingMoves) {
  const auto x = torch::zeros({2}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({x},
                            NaturalGradientOptions(1).curvature(Hessian()).damping(Tikhonov(0)));
  const Snapshot before({x}, nullptr, &optimizer);
  optimizer.step((x * torch::tensor({1., 2.}, torch::kDouble)).sum());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::SolverFailed)
      << optimizer.summary().message();
  EXPECT_EQ(optimizer.summary().solver.termination, Termination::Breakdown);
  before.expect_unchanged();
}

// ---- Row 9: a condition of 1e16. ----

TEST(FaultsNumeric, Row9AnIllConditionedStepIsJudgedByItsRatio) {
  const auto scales = torch::logspace(-8, 0, 12, 10, torch::kDouble);  // squared in JᵀJ
  const auto w = torch::zeros({12}, torch::kDouble).requires_grad_();
  const auto x = random_orthogonal(12, 1) * scales;
  const auto y = randn({12}, 2);
  NaturalGradient optimizer({w}, NaturalGradientOptions(1).damping(LevenbergMarquardt()));
  double last = HUGE_VAL;
  for (int k = 0; k < 30; ++k) {
    const double loss = optimizer.step([&] { return F::mse_loss(x.mv(w), y); }).item<double>();
    EXPECT_LE(loss, last);
    last = loss;
    const auto& report = optimizer.summary();
    ASSERT_TRUE(report.ratio.has_value());
    if (report.solver.termination == Termination::Converged) {
      EXPECT_LE(report.solver.residual, 1e-2 * report.solver.right_hand_side);
    }
  }
  EXPECT_TRUE(all_finite(w));
}

// ---- Row 11: λ at the end of its range. ----

TEST(FaultsNumeric, Row11ExhaustedDampingMovesNothing) {
  Training training(NaturalGradientOptions(1).damping(LevenbergMarquardt().initial(1).largest(2)));
  const auto start = training.theta();
  const auto step = [&] {
    training.optimizer->step([&] {
      const bool moved = !same_bits(training.theta(), start);
      return training.loss(0) + (moved ? 10 : 0);
    });
  };
  step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::Rejected);
  step();  // λ is 1.5, and 2 from now on
  const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
  step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::DampingExhausted);
  EXPECT_EQ(training.summary().lambda, 2);
  before.expect_unchanged();
}

// ---- Row 13: the model promises nothing. ----

/// A user's own rule: up the gradient, untried.
struct UpTheGradient final : StepRule {
  Step choose(const StepProblem& problem) override { return {problem.gradient, problem.gradient}; }
  std::string describe() const override { return "UpTheGradient()"; }
  std::unique_ptr<StepRule> clone() const override {
    return std::make_unique<UpTheGradient>(*this);
  }
};

TEST(FaultsNumeric, Row13AStepThatTheModelSaysRisesIsRejectedThoughTheLossFalls) {
  Training training(NaturalGradientOptions(1)
                        .damping(LevenbergMarquardt().initial(0.1))
                        .step_rule(UpTheGradient()));
  const Snapshot before(training.parameters(), training.model.ptr());
  const auto start = training.theta();
  training.optimizer->step([&] {
    const bool moved = !same_bits(training.theta(), start);
    return training.loss(0) - (moved ? 10 : 0);
  });
  EXPECT_EQ(training.summary().outcome, StepOutcome::Rejected);
  EXPECT_LT(training.summary().trial_loss.value(), training.summary().loss);
  before.expect_unchanged();
}

}  // namespace
}  // namespace natgrad::testing::faults_numeric_test
