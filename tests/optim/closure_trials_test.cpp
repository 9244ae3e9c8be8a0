// Steps that are judged by trial losses: what the closure sees, and what is left of it.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/damping/trust_region.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <natgrad/step_control/line_search.h>

#include <set>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::closure_trials_test {
namespace {

namespace F = torch::nn::functional;

NaturalGradientOptions judged() {
  return NaturalGradientOptions(1).damping(LevenbergMarquardt().initial(0.1));
}

TEST(ClosureTrialsTest, DropoutMasksAreReplayed) {
  auto model = classifier(/*noisy=*/true);
  const auto x = Training::inputs(0), y = Training::labels(0);
  std::set<std::string> masks;
  NaturalGradient optimizer(model->parameters(), judged().module(model.ptr()));
  torch::manual_seed(3);
  int calls = 0;
  optimizer.step([&] {
    ++calls;
    masks.insert(c10::str(torch::rand({3})));
    return F::cross_entropy(model->forward(x), y);
  });
  EXPECT_EQ(calls, 3);  // h(θ), once more to compare, h(θ + δ)
  EXPECT_EQ(masks.size(), 1u);
  ASSERT_TRUE(optimizer.summary().ratio.has_value());
  // The next step goes on in the random sequence, as if the closure had been called once.
  const auto next = torch::rand({3});
  torch::manual_seed(3);
  torch::rand({3});
  model->forward(x);
  EXPECT_TRUE(same_bits(torch::rand({3}), next));
}

TEST(ClosureTrialsTest, RunningStatisticsMoveOnce) {
  auto tried = classifier(true), plain = classifier(true);
  const auto x = Training::inputs(0), y = Training::labels(0);
  NaturalGradient optimizer(tried->parameters(), judged().module(tried.ptr()));
  torch::manual_seed(1);
  optimizer.step([&] { return F::cross_entropy(tried->forward(x), y); });
  torch::manual_seed(1);
  plain->forward(x);
  const auto a = tried->buffers(), b = plain->buffers();
  ASSERT_GT(a.size(), 0u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i], b[i])) << i;
}

TEST(ClosureTrialsTest, NewDataAtEachCallAreNoticed) {
  Training training(judged());
  const Snapshot before(training.parameters(), training.model.ptr());
  int64_t batch = 0;
  expect_error([&] { training.optimizer->step([&] { return training.loss(batch++); }); },
               "the closure must use the same data");
  before.expect_unchanged();
}

TEST(ClosureTrialsTest, AClosureMayRunBackwardWithTheGraphRetained) {
  // To the bit by a backward pass, as rows do not tell it.
  const auto options = judged().curvature(FisherOrGaussNewton());
  Training plain(options), backward(NaturalGradientOptions(options).fill_grad(true));
  for (int64_t k = 0; k < 3; ++k) {
    plain.optimizer->step([&] { return plain.loss(k); });
    const auto loss_before = backward.loss(k);
    const auto gradients = torch::autograd::grad({loss_before}, backward.parameters());
    backward.optimizer->step([&] {
      backward.optimizer->zero_grad();
      const auto loss = backward.loss(k);
      loss.backward({}, /*keep_graph=*/true);
      return loss;
    });
    EXPECT_TRUE(same_bits(plain.theta(), backward.theta()));
    EXPECT_EQ(plain.summary().ratio, backward.summary().ratio);
    // `.grad` is that of θ before the step, not of a trial point.
    for (size_t i = 0; i < gradients.size(); ++i) {
      EXPECT_TRUE(same_bits(backward.parameters()[i].grad(), gradients[i])) << i;
    }
  }
}

TEST(ClosureTrialsTest, BatchNormalisationGoesWithALineSearch) {
  auto model = classifier(/*noisy=*/true);
  const auto x = Training::inputs(0), y = Training::labels(0);
  const auto options = judged()
                           .solver(ConjugateGradient().snapshot_growth(1.3))
                           .step_rule(LineSearch())
                           .module(model.ptr());
  NaturalGradient optimizer(model->parameters(), options);
  const double start = F::cross_entropy(model->forward(x), y).item<double>();
  for (int k = 0; k < 10; ++k) {
    torch::manual_seed(5);  // one dropout mask: the loss then falls from step to step
    optimizer.step([&] { return F::cross_entropy(model->forward(x), y); });
  }
  torch::manual_seed(5);
  EXPECT_LT(F::cross_entropy(model->forward(x), y).item<double>(), start);
  EXPECT_EQ(model->buffers().back().item<int64_t>(), 12);  // one forward pass a step counts
}

TEST(ClosureTrialsTest, AnotherShapeAtTheSecondCallThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        int calls = 0;
        training.optimizer->step([&] {
          const auto loss = training.loss(0);
          return calls++ == 0 ? loss : torch::stack({loss, loss});
        });
      },
      "returned no floating-point number", judged());
}

/// faults.md, row 56, with trials: a closure that throws at its k-th call, whichever that is.
TEST(ClosureTrialsTest, AnExceptionAtAnyCallLeavesNoTrace) {
  struct Own {};
  for (const auto& options : {judged(), presets::hessian_free(0.1)}) {
    for (int k = 1; k <= 5; ++k) {
      SCOPED_TRACE(k);
      Training faulty(options), sound(options);
      faulty.optimizer->step([&] { return faulty.loss(0); });
      sound.optimizer->step([&] { return sound.loss(0); });
      const Snapshot before(faulty.parameters(), faulty.model.ptr());
      int calls = 0;
      const auto step = [&] {
        faulty.optimizer->step([&] {
          if (++calls == k) throw Own();
          return faulty.loss(1);
        });
      };
      try {
        step();
        EXPECT_LT(calls, k);
        continue;
      } catch (const Own&) {
        before.expect_unchanged();
      }
      faulty.optimizer->step([&] { return faulty.loss(1); });
      sound.optimizer->step([&] { return sound.loss(1); });
      EXPECT_TRUE(same_bits(faulty.theta(), sound.theta()));
    }
  }
}

/// faults.md, row 4: a trial that is not finite is rejected, λ rises, parameters stay.
TEST(ClosureTrialsTest, ANonFiniteTrialIsRejectedAndLambdaRises) {
  Training training(judged());
  const Snapshot before(training.parameters(), training.model.ptr());
  int calls = 0;
  const auto closure = [&] {
    const auto loss = training.loss(0);
    return ++calls == 3 ? loss * NAN : loss;
  };
  training.optimizer->step(closure);
  EXPECT_EQ(training.summary().outcome, StepOutcome::Rejected);
  before.expect_unchanged();
  training.optimizer->step([&] { return training.loss(0); });
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_DOUBLE_EQ(training.summary().lambda, 0.15);
}

/// Row 11: at the largest λ a rejected step says that nothing stronger is left.
TEST(ClosureTrialsTest, TheStrongestDampingIsExhausted) {
  Training training(NaturalGradientOptions(1).damping(LevenbergMarquardt().initial(1).largest(2)));
  const auto start = training.theta();
  for (int k = 0; k < 3; ++k) {
    training.optimizer->step([&] {
      const bool moved = !torch::equal(training.theta(), start);
      return training.loss(0) + (moved ? 10 : 0);
    });
    EXPECT_EQ(training.summary().outcome,
              k == 0 ? StepOutcome::Rejected : StepOutcome::DampingExhausted);
  }
  EXPECT_DOUBLE_EQ(training.summary().lambda, 2);
}

/// Row 12: a line search that finds nothing leaves everything.
TEST(ClosureTrialsTest, AFailedLineSearchMovesNothing) {
  Training training(judged().step_rule(LineSearch()));
  const Snapshot before(training.parameters(), training.model.ptr());
  const auto start = training.theta();
  training.optimizer->step([&] {
    const bool moved = !torch::equal(training.theta(), start);
    return training.loss(0) + (moved ? 10 : 0);
  });
  EXPECT_EQ(training.summary().outcome, StepOutcome::Rejected);
  before.expect_unchanged();
}

/// A user's own rule, which makes trials and does not say what it found: up the gradient.
struct Uphill final : StepRule {
  Step choose(const StepProblem& problem) override { return {problem.gradient, problem.gradient}; }
  bool needs_trials() const override { return true; }
  std::string describe() const override { return "Uphill()"; }
  std::unique_ptr<StepRule> clone() const override { return std::make_unique<Uphill>(*this); }
};

TEST(ClosureTrialsTest, AStepThatItsRuleHasNotTriedIsTried) {
  Training training(NaturalGradientOptions().damping(Tikhonov(0.1)).step_rule(Uphill()));
  const Snapshot before(training.parameters(), training.model.ptr());
  training.optimizer->step([&] { return training.loss(0); });
  const auto& report = training.summary();
  EXPECT_EQ(report.outcome, StepOutcome::Rejected) << report.message();
  EXPECT_GT(report.trial_loss.value(), report.loss);
  before.expect_unchanged();
}

TEST(ClosureTrialsTest, RatioIsThatOfTheQuadraticModelWithoutDamping) {
  // Linear least squares: M is h itself, so ρ = 1 whatever λ and the learning rate.
  auto w = randn({4, 2}, 1).requires_grad_();
  const auto x = randn({10, 4}, 2), y = randn({10, 2}, 3);
  NaturalGradient optimizer(
      {w}, NaturalGradientOptions(0.6).weight_decay(0.3).damping(LevenbergMarquardt().initial(5)));
  for (int k = 0; k < 5; ++k) {
    optimizer.step([&] { return F::mse_loss(x.mm(w), y); });
    EXPECT_NEAR(optimizer.summary().ratio.value(), 1, 1e-9);
  }
}

/// Least squares in float32 to its minimum and past it: differences of h are rounding there.
void expect_to_stay_alive(const NaturalGradientOptions& options) {
  const auto x = randn({50, 3}, 1).to(torch::kFloat), noise = randn({50, 1}, 2).to(torch::kFloat);
  auto w = torch::zeros({3, 1}).requires_grad_();
  NaturalGradient optimizer({w}, options);
  Tensor y = noise;
  const auto step = [&] { optimizer.step([&] { return F::mse_loss(x.mm(w), y); }); };
  for (int k = 0; k < 150; ++k) step();
  EXPECT_LT(optimizer.summary().lambda, 10);
  y = noise + 3 * x.sum(1, true);
  for (int k = 0; k < 60; ++k) step();
  const auto best = std::get<0>(torch::linalg_lstsq(x.to(torch::kDouble), y.to(torch::kDouble)));
  EXPECT_LT(relative_error(w, best), 1e-2) << optimizer.summary().message();
}

TEST(ClosureTrialsTest, RoundingNearAMinimumDoesNotEndTheSteps) {
  expect_to_stay_alive(NaturalGradientOptions(1).damping(LevenbergMarquardt()));
  expect_to_stay_alive(
      NaturalGradientOptions(1).damping(TrustRegion()).solver(SteihaugConjugateGradient()));
  expect_to_stay_alive(presets::hessian_free());
}

TEST(ClosureTrialsTest, MaximizeJudgesTheOtherWay) {
  Training down(judged()), up(judged().maximize(true));
  down.optimizer->step([&] { return down.loss(0); });
  up.optimizer->step([&] { return -up.loss(0); });
  EXPECT_TRUE(same_bits(down.theta(), up.theta()));
  EXPECT_EQ(down.summary().ratio, up.summary().ratio);
}

}  // namespace
}  // namespace natgrad::testing::closure_trials_test
