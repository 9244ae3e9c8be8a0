#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/step_control/line_search.h>

#include "step_control/synthetic_trials.h"

// On functions of which every trial is known beforehand.

namespace natgrad::testing::line_search_test {
namespace {

// A few roundings.
constexpr double kRounding = 1e-13;
constexpr double kShrink = 0.8, kDecrease = 1e-2;  // the defaults: Martens'

Tensor number(double t) { return torch::full({1}, t, torch::kDouble); }
double value(const Tensor& t) { return t.item<double>(); }

/// A step on a function of one variable from 0, with the path that conjugate gradients took.
SyntheticStep on_a_line(Function h, double x, const std::vector<double>& path = {}) {
  Solution solution{number(x), {}};
  for (const double t : path) solution.snapshots.push_back(number(t));
  return {std::move(h), number(0), from_dense(torch::ones({1, 1}, torch::kDouble)), solution};
}

/// ½(t - 1)².
Tensor parabola(const Tensor& t) { return 0.5 * (t - 1).square().sum(); }

/// The same, with another value from t = 2 on.
Function walled(double beyond) {
  return [=](const Tensor& t) { return value(t) < 2 ? parabola(t) : 0 * t.sum() + beyond; };
}

TEST(LineSearchTest, AFullStepThatIsGoodEnoughIsTaken) {
  auto problem = on_a_line(parabola, 1.2);
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_TRUE(step.found);
  EXPECT_EQ(value(step.displacement), 1.2);
  EXPECT_EQ(value(step.proposal), 1.2);
  EXPECT_EQ(value(step.kept), 1.2);
  EXPECT_NEAR(*step.loss, 0.5 * 0.2 * 0.2, kRounding);
  EXPECT_EQ(*step.loss, *step.proposal_loss);
  EXPECT_EQ(problem.trials.losses, 1);
}

// h(t) = ½ct² - t: h(βx) ≤ h(0) - 1e-2 βx where β ≤ 1.98/(cx), which is set to 1.1·0.8ᵏ here,
// between 0.8ᵏ and 0.8ᵏ⁻¹.
TEST(LineSearchTest, ShrinksAsOftenAsArmijosRuleSays) {
  for (int k = 0; k < 12; ++k) {
    const double x = 5, c = 2 * (1 - kDecrease) / x / (1.1 * std::pow(kShrink, k));
    const auto h = [=](const Tensor& t) { return (0.5 * c * t.square() - t).sum(); };
    for (const int limit : {k, k + 1, 60}) {
      if (limit == 0) continue;
      auto problem = on_a_line(h, x);
      const auto step = LineSearch().max_trials(limit).choose(problem.problem());
      EXPECT_EQ(step.found, limit > k) << k;
      EXPECT_NEAR(value(step.displacement), step.found ? x * std::pow(kShrink, k) : 0,
                  kRounding * x);
      EXPECT_EQ(problem.trials.losses, std::min(k + 1, limit));
      EXPECT_EQ(value(step.proposal), x);
      EXPECT_NEAR(*step.proposal_loss, problem.loss_at(number(x)), kRounding);
      if (step.found) {
        EXPECT_NEAR(*step.loss, problem.loss_at(step.displacement), kRounding);
      }
    }
  }
}

// β ≤ 2(1 - c₁) for x at the minimum's distance: c₁ just below and above ½ ask for more than a full
// step gives.
TEST(LineSearchTest, TheDecreaseAskedForIsAnOption) {
  for (const double share : {0.49, 0.51}) {
    auto problem = on_a_line(parabola, 1);
    const auto step = LineSearch().sufficient_decrease(share).choose(problem.problem());
    EXPECT_NEAR(value(step.displacement), share < 0.5 ? 1 : kShrink, kRounding);
  }
}

TEST(LineSearchTest, GoesBackWhileTheLossFalls) {
  auto problem = on_a_line(parabola, 4, {0.3, 0.9, 1.5, 2.5});
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_TRUE(step.found);
  EXPECT_EQ(value(step.displacement), 0.9);
  EXPECT_EQ(value(step.proposal), 0.9);
  EXPECT_EQ(value(step.kept), 4);
  EXPECT_NEAR(*step.proposal_loss, 0.005, kRounding);
  EXPECT_EQ(problem.trials.losses, 5);
}

TEST(LineSearchTest, GoesBackNoFurtherThanToTheFirstRise) {
  auto problem = on_a_line(parabola, 1.5, {0.9, 3, 1.6});
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_EQ(value(step.displacement), 1.5);
  EXPECT_EQ(problem.trials.losses, 2);
}

TEST(LineSearchTest, BacktrackingCanBeTurnedOff) {
  auto problem = on_a_line(parabola, 1.5, {0.9, 1.2});
  const auto step = LineSearch().backtrack(false).choose(problem.problem());
  EXPECT_EQ(value(step.displacement), 1.5);
  EXPECT_EQ(problem.trials.losses, 1);
}

// Of βx = 4, 3.2, 2.56, 2.048, 1.6384 the last is the first before the wall.
TEST(LineSearchTest, ALossThatIsNotFiniteCountsAsInfinite) {
  for (const double beyond : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto problem = on_a_line(walled(beyond), 4);
    const auto step = LineSearch().choose(problem.problem());
    EXPECT_TRUE(step.found) << beyond;
    EXPECT_NEAR(value(step.displacement), 4 * std::pow(kShrink, 4), kRounding);
    EXPECT_EQ(*step.proposal_loss, HUGE_VAL);
    EXPECT_EQ(problem.trials.losses, 5);
  }
}

TEST(LineSearchTest, BacktrackingPassesOverLossesThatAreNotFinite) {
  for (const double beyond : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    auto problem = on_a_line(walled(beyond), 4, {0.5, 1.2, 2.5, 3});
    const auto step = LineSearch().choose(problem.problem());
    EXPECT_EQ(value(step.displacement), 1.2) << beyond;
    EXPECT_EQ(problem.trials.losses, 5);
  }
}

TEST(LineSearchTest, AnAscentDirectionIsNotTried) {
  for (const double x : {-1.0, 0.0, std::nan("")}) {
    auto problem = on_a_line(parabola, x, {0.5});
    const auto step = LineSearch().choose(problem.problem());
    EXPECT_FALSE(step.found);
    EXPECT_EQ(value(step.displacement), 0);
    EXPECT_EQ(problem.trials.losses, 0);
    EXPECT_FALSE(step.loss || step.proposal_loss);
  }
}

TEST(LineSearchTest, AnEarlierIterateThatAscendsEndsTheWayBack) {
  auto problem = on_a_line(parabola, 1.5, {0.9, -0.1});
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_EQ(value(step.displacement), 1.5);
  EXPECT_EQ(problem.trials.losses, 1);
}

// |t| below rounding of h: no trial is lower.
TEST(LineSearchTest, WhereNoTrialIsGoodEnoughThereIsNoStep) {
  const auto h = [](const Tensor& t) {
    return value(t) == 0 ? -t.sum() : 0 * t.sum() + std::nan("");
  };
  auto problem = on_a_line(h, 1);
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_FALSE(step.found);
  EXPECT_EQ(value(step.displacement), 0);
  EXPECT_EQ(value(step.kept), 1);
  EXPECT_FALSE(step.loss);
  EXPECT_EQ(problem.trials.losses, 60);
}

TEST(LineSearchTest, TriesAtTheLearningRateOfEachParameter) {
  const auto rates = torch::tensor({0.5, 2.0}, torch::kDouble);
  const auto h = [](const Tensor& t) { return 0.5 * (t - 1).square().sum(); };
  SyntheticStep problem{h,
                        torch::zeros({2}, torch::kDouble),
                        from_dense(torch::eye(2, torch::kDouble)),
                        {torch::ones({2}, torch::kDouble), {}},
                        [&](const Tensor& v) { return rates * v; }};
  const auto step = LineSearch().choose(problem.problem());
  EXPECT_TRUE(identical(step.displacement, rates));
  EXPECT_NEAR(*step.loss, 0.5 * (0.25 + 1), kRounding);
  EXPECT_TRUE(identical(step.kept, problem.solution.x));
}

/// What backtracking has to find, with all losses listed first.
Tensor backtracked(const SyntheticStep& problem) {
  auto path = problem.solution.snapshots;
  path.push_back(problem.solution.x);
  size_t k = path.size() - 1;
  while (k > 0 && problem.loss_at(path[k - 1]) < problem.loss_at(path[k])) --k;
  return path[k];
}

// Far from a quadratic, conjugate gradients' early iterates are better than their last.
TEST(LineSearchTest, GoesBackThroughConjugateGradients) {
  const auto a = random_spd(30, 1e4, 1);
  int earlier = 0;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const auto b = randn({30}, seed + 10);
    const auto h = [&](const Tensor& t) {
      return 0.5 * t.dot(a.mv(t)) - b.dot(t) + 1e-4 * t.dot(t).square();
    };
    const auto solver = ConjugateGradient().snapshot_growth(1.3).tolerance(0).max_iterations(30);
    SyntheticStep problem{h, torch::zeros({30}, torch::kDouble), from_dense(a),
                          solver.solve(from_dense(a), b)};
    const auto step = LineSearch().choose(problem.problem());
    const auto expected = backtracked(problem);
    EXPECT_TRUE(identical(step.proposal, expected)) << seed;
    EXPECT_TRUE(identical(step.kept, problem.solution.x));
    EXPECT_LT(*step.loss, 0);
    earlier += !identical(expected, problem.solution.x);
  }
  EXPECT_GT(earlier, 5);
}

/// 100(y - x²)² + (1 - x)² is ½‖r‖² with r = √2 (10(y - x²), 1 - x): JᵀJ.
Tensor rosenbrock_gauss_newton(const Tensor& theta) {
  const double x = theta[0].item<double>();
  const auto j = std::sqrt(2.0) * torch::tensor({{-20 * x, 10.0}, {-1.0, 0.0}}, torch::kDouble);
  return j.t().mm(j);
}

// The full step follows the linearised valley's floor far up its wall: without a search it rises to
// h = 1411 from h = 24 at first.
TEST(LineSearchTest, GaussNewtonStepsOnRosenbrocksFunctionFallToItsMinimum) {
  auto theta = torch::tensor({-1.2, 1.0}, torch::kDouble);
  int shortened = 0;
  for (int k = 0; k < 30 && value(rosenbrock(theta)) > 1e-20; ++k) {
    const auto c = rosenbrock_gauss_newton(theta);
    SyntheticStep problem{rosenbrock, theta, from_dense(c), {}};
    problem.solution.x = -torch::linalg_solve(c, problem.gradient);
    const auto step = LineSearch().choose(problem.problem());
    ASSERT_TRUE(step.found) << k;
    const double slope = value(problem.gradient.dot(step.displacement));
    const double start = value(rosenbrock(theta));
    EXPECT_LE(*step.loss, start + kDecrease * slope);
    if (!identical(step.displacement, step.proposal)) {
      const auto longer = problem.loss_at(step.displacement / kShrink);
      EXPECT_GT(longer, start + kDecrease * slope / kShrink);
      ++shortened;
    }
    theta = theta + step.displacement;
  }
  EXPECT_LT(relative_error(theta, torch::ones({2}, torch::kDouble)), 1e-9);
  EXPECT_GT(shortened, 0);
}

TEST(LineSearchTest, BadSettingsAndAStepWithoutTrialsThrow) {
  auto problem = on_a_line(parabola, 1);
  const auto expect_bad = [&](LineSearch rule, const char* needle) {
    expect_error([&] { rule.clone(); }, needle);
    expect_error([&] { rule.choose(problem.problem()); }, needle);
  };
  for (const double bad : {0.0, 1.0, -0.5, std::nan("")}) {
    expect_bad(LineSearch().shrink(bad), "shrink");
    expect_bad(LineSearch().sufficient_decrease(bad), "sufficient_decrease");
  }
  expect_bad(LineSearch().max_trials(0), "max_trials");
  auto without = problem.problem();
  without.trials = nullptr;
  expect_error([&] { LineSearch().choose(without); }, "closure");
}

TEST(LineSearchTest, TextTellsEverySettingApartAndCloneKeepsThem) {
  const auto text = LineSearch().describe();
  EXPECT_NE(text, LineSearch().shrink(0.5).describe());
  EXPECT_NE(text, LineSearch().sufficient_decrease(1e-4).describe());
  EXPECT_NE(text, LineSearch().max_trials(59).describe());
  EXPECT_NE(text, LineSearch().backtrack(false).describe());
  EXPECT_EQ(LineSearch().shrink(0.5).clone()->describe(), LineSearch().shrink(0.5).describe());
  EXPECT_TRUE(LineSearch().needs_trials());
  EXPECT_FALSE(LineSearch().needs_basis() || LineSearch().keeps_displacement());
}

}  // namespace
}  // namespace natgrad::testing::line_search_test
