#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/step_control/subspace_minimisation.h>

#include "step_control/synthetic_trials.h"

// Against dense minimisers over the subspace where h is quadratic, and against the model's
// minimiser where it is not.

namespace natgrad::testing::subspace_minimisation_test {
namespace {

// A few roundings of sums over the vectors, at condition number 100.
constexpr double kRounding = 1e-12;
// BFGS ends where h falls by less than 1e-9 of what the model promised: √ of that, with some room.
constexpr double kMinimiser = 3e-4;

double value(const Tensor& t) { return t.item<double>(); }

/// A step with the basis that Krylov's solver builds for C δ = -∇h.
SyntheticStep krylov_step(Function h, const Tensor& theta, const Tensor& c, int64_t dimension,
                          const Tensor& previous = {}) {
  SyntheticStep problem{std::move(h), theta, from_dense(c), {}};
  problem.solution =
      KrylovSubspace().dimension(dimension).solve({problem.matrix, -problem.gradient, previous});
  return problem;
}

/// h(θ) = ½ θᵀHθ - bᵀθ.
Function quadratic(const Tensor& hessian, const Tensor& b) {
  return [=](const Tensor& t) { return 0.5 * t.dot(hessian.mv(t)) - b.dot(t); };
}

/// argmin of θ + V a for that, as a displacement.
Tensor minimiser(const Tensor& hessian, const Tensor& gradient, const Tensor& v) {
  return -v.mv(torch::linalg_solve(v.t().mm(hessian).mm(v), v.t().mv(gradient)));
}

/// Not convex, bounded below: Σ aᵢⱼ sin + ½‖·‖².
Function wavy(uint64_t seed) {
  const auto w = 2 * randn({8, 8}, seed);
  return [=](const Tensor& t) { return torch::sin(w.mv(t)).sum() + 0.5 * t.dot(t); };
}

TEST(SubspaceMinimisationTest, WhereTheModelIsTheLossTheFirstTrialIsTheMinimum) {
  const auto a = random_spd(20, 100, 1);
  const auto b = randn({20}, 2), theta = randn({20}, 3);
  for (const int64_t dimension : {1, 3, 6}) {
    auto problem = krylov_step(quadratic(a, b), theta, a, dimension, randn({20}, 4));
    const auto step = SubspaceMinimisation().choose(problem.problem());
    const auto expected = minimiser(a, problem.gradient, problem.solution.basis->vectors);
    EXPECT_TRUE(step.found);
    EXPECT_LT(relative_error(step.displacement, expected), kRounding);
    EXPECT_LT(relative_error(step.displacement, problem.solution.x), kRounding);
    EXPECT_TRUE(identical(step.kept, step.displacement));
    EXPECT_NEAR(*step.loss, problem.loss_at(step.displacement), kRounding);
    EXPECT_EQ(problem.trials.displacements.size(), 2u);
    EXPECT_EQ(problem.trials.losses, 0);
  }
}

TEST(SubspaceMinimisationTest, OfAQuadraticLossItIsTheDenseMinimiserWhateverTheModel) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const auto hessian = random_spd(20, 30, seed), c = random_spd(20, 30, seed + 10);
    const auto b = randn({20}, seed + 20);
    auto problem = krylov_step(quadratic(hessian, b), randn({20}, seed + 30), c, 5);
    const auto step = SubspaceMinimisation().choose(problem.problem());
    const auto expected = minimiser(hessian, problem.gradient, problem.solution.basis->vectors);
    EXPECT_LT(relative_error(step.displacement, expected), kMinimiser) << seed;
    EXPECT_LT(*step.loss, problem.loss_at(problem.solution.x));
  }
}

TEST(SubspaceMinimisationTest, FindsTheMinimumOfRosenbrocksFunction) {
  const auto theta = torch::tensor({-1.2, 1.0}, torch::kDouble);
  auto problem = krylov_step(rosenbrock, theta, 100 * random_spd(2, 10, 1), 2);
  auto rule = SubspaceMinimisation().max_iterations(200).max_evaluations(400);
  const auto step = rule.choose(problem.problem());
  // From 24; to a few of BFGS's 1e-9 of what the model promised.
  EXPECT_LT(*step.loss, 1e-4);
  EXPECT_LT(relative_error(theta + step.displacement, torch::ones({2}, torch::kDouble)), 2e-2);
}

TEST(SubspaceMinimisationTest, BeatsTheModelsMinimiserWhereTheLossIsNotQuadratic) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    auto problem = krylov_step(rosenbrock, randn({10}, seed), 500 * random_spd(10, 100, seed), 4);
    const auto step = SubspaceMinimisation().choose(problem.problem());
    EXPECT_TRUE(step.found) << seed;
    EXPECT_LT(*step.loss, problem.loss_at(problem.solution.x)) << seed;
    EXPECT_LT(*step.loss, value(rosenbrock(problem.theta))) << seed;
  }
}

/// Matrices of every sign of curvature.
std::vector<Tensor> curvatures(uint64_t seed) {
  const auto spd = random_spd(8, 1e6, seed);
  return {spd,        1e6 * spd,
          1e-6 * spd, symmetric_with_spectrum(torch::linspace(-2, 3, 8), seed),
          -spd,       torch::zeros({8, 8}, torch::kDouble)};
}

TEST(SubspaceMinimisationTest, NeverEndsAboveTheStart) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const auto h = wavy(seed);
    for (const auto& c : curvatures(seed)) {
      auto problem = krylov_step(h, randn({8}, seed + 50), c, 4);
      const auto& v = problem.solution.basis->vectors;
      const auto step = SubspaceMinimisation().choose(problem.problem());
      EXPECT_TRUE(step.found);
      EXPECT_LT(*step.loss, value(h(problem.theta)));
      EXPECT_NEAR(*step.loss, problem.loss_at(step.displacement), kRounding);
      const auto outside = step.displacement - v.mv(v.t().mv(step.displacement));
      EXPECT_LT(value(outside.norm()), kRounding * value(step.displacement.norm()));
      EXPECT_LE(*step.loss, problem.loss_at(problem.solution.x) + kRounding);
    }
  }
}

/// ½‖t - 1‖² for ‖t‖ < radius; beyond, what `beyond` makes of it.
Function walled(double radius, std::function<Tensor(const Tensor&)> beyond) {
  return [=](const Tensor& t) {
    const auto inside = 0.5 * (t - 1).square().sum();
    return value(t.norm()) < radius ? inside : beyond(inside);
  };
}

TEST(SubspaceMinimisationTest, TurnsBackWhereTheLossIsNotFinite) {
  const auto theta = torch::zeros({6}, torch::kDouble);
  const auto c = 1e-3 * random_spd(6, 10, 1);  // the model's minimum lies far out
  const std::vector<std::function<Tensor(const Tensor&)>> walls = {
      [](const Tensor& t) { return t * std::nan(""); },
      [](const Tensor& t) { return t + HUGE_VAL; }, [](const Tensor& t) { return t - HUGE_VAL; },
      [](const Tensor& t) { return -1 + torch::sqrt(t - t); },  // a gradient that is NaN
  };
  for (const double radius : {0.1, 1.0, 3.0}) {
    for (const auto& wall : walls) {
      auto problem = krylov_step(walled(radius, wall), theta, c, 3);
      const auto step = SubspaceMinimisation().choose(problem.problem());
      ASSERT_TRUE(step.found) << radius;
      EXPECT_LT(value(step.displacement.norm()), radius);
      EXPECT_TRUE(std::isfinite(*step.loss));
      EXPECT_LT(*step.loss, 3);
    }
  }
}

TEST(SubspaceMinimisationTest, WhereNothingCanFallThereIsNoStep) {
  const auto a = random_spd(6, 10, 1);
  const auto zero = torch::zeros({6}, torch::kDouble), b = randn({6}, 2);
  const auto nan_off_start = [](const Tensor& t) {
    return t.sum() * (value(t.norm()) > 0 ? std::nan("") : 1.0);
  };
  const auto nan = [](const Tensor& t) { return t.sum() * std::nan(""); };
  for (const Function& h : {Function(nan_off_start), Function(nan)}) {
    auto problem = krylov_step(quadratic(a, b), zero, a, 3);
    problem.h = h;
    problem.trials = {h, zero};
    const auto step = SubspaceMinimisation().choose(problem.problem());
    EXPECT_FALSE(step.found);
    EXPECT_TRUE(identical(step.displacement, zero));
    EXPECT_FALSE(step.loss || step.proposal_loss);
  }
}

TEST(SubspaceMinimisationTest, AtAStationaryPointThereIsNoTrial) {
  const auto a = random_spd(6, 10, 1);
  const auto zero = torch::zeros({6}, torch::kDouble);
  auto problem = krylov_step(quadratic(a, zero), zero, a, 3);
  const auto step = SubspaceMinimisation().choose(problem.problem());
  EXPECT_FALSE(step.found);
  EXPECT_TRUE(identical(step.displacement, zero));
  EXPECT_TRUE(problem.trials.displacements.empty());
}

TEST(SubspaceMinimisationTest, GoesTheLearningRatesShareOfTheWay) {
  const auto a = random_spd(6, 10, 1);
  const auto rates = torch::linspace(0.1, 0.9, 6, torch::kDouble);
  auto problem = krylov_step(quadratic(a, randn({6}, 2)), randn({6}, 3), a, 3);
  const auto full = SubspaceMinimisation().choose(problem.problem());
  problem.at_rate = [&](const Tensor& v) { return rates * v; };
  const auto step = SubspaceMinimisation().choose(problem.problem());
  EXPECT_TRUE(identical(step.proposal, full.displacement));
  EXPECT_TRUE(identical(step.displacement, rates * full.displacement));
  EXPECT_TRUE(identical(step.kept, step.displacement));
  EXPECT_EQ(*step.proposal_loss, *full.loss);
  EXPECT_EQ(*step.loss, problem.loss_at(step.displacement));
}

/// Half of the way to the lowest trial may lead uphill: then a nearer trial, or none, is taken.
struct HalfTheWay {
  bool rises, found;
};

HalfTheWay expect_no_rise(SyntheticStep& problem) {
  const double start = problem.loss_at(torch::zeros_like(problem.gradient));
  problem.at_rate = [](const Tensor& v) { return v; };
  const auto full = SubspaceMinimisation().choose(problem.problem());
  problem.at_rate = [](const Tensor& v) { return 0.5 * v; };
  const auto step = SubspaceMinimisation().choose(problem.problem());
  if (step.found) {
    EXPECT_TRUE(identical(step.displacement, 0.5 * step.proposal));
    EXPECT_EQ(*step.loss, problem.loss_at(step.displacement));
    EXPECT_EQ(*step.proposal_loss, problem.loss_at(step.proposal));
    EXPECT_LE(*step.loss, start);
  } else {
    EXPECT_EQ(value(step.displacement.norm()), 0);
  }
  return {problem.loss_at(0.5 * full.displacement) > start, step.found};
}

// The first trial lies in the next well of cos, and half of the way there is the hill between.
TEST(SubspaceMinimisationTest, AShareOfTheWayThatWouldRiseIsNotTaken) {
  const double across = 2 * M_PI + 0.2;
  const auto theta = torch::full({1}, M_PI + 0.2, torch::kDouble);
  const auto curvature = torch::full({1, 1}, std::sin(0.2) / across, torch::kDouble);
  auto problem =
      krylov_step([](const Tensor& t) { return torch::cos(t).sum(); }, theta, curvature, 1);
  const auto half = expect_no_rise(problem);
  EXPECT_TRUE(half.rises);
  EXPECT_FALSE(half.found);
}

// A valley with its bottom at 10 and a hill at 5. The first trial is at 0.98, and still so steep
// that the next is ten times as far; half of that, and of the bottom, is on the hill.
TEST(SubspaceMinimisationTest, ANearerTrialIsTakenWhereAShareOfTheWayWouldRise) {
  const auto valley = [](const Tensor& t) {
    return (-t + t.square() / 20 + 12 * torch::exp(-2 * (t - 5).square())).sum();
  };
  const auto zero = torch::zeros({1}, torch::kDouble);
  auto problem = krylov_step(valley, zero, torch::full({1, 1}, 1 / 0.98, torch::kDouble), 1);
  const auto half = expect_no_rise(problem);
  EXPECT_TRUE(half.rises);
  EXPECT_TRUE(half.found);
  EXPECT_NEAR(value(SubspaceMinimisation().choose(problem.problem()).proposal), 0.98, kRounding);
}

// Of a loss in other units, with its curvature in them, the step is the same.
TEST(SubspaceMinimisationTest, UnitOfTheLossDoesNotMatter) {
  const auto c = random_spd(8, 100, 1), theta = randn({8}, 2);
  const auto h = wavy(3);
  auto problem = krylov_step(h, theta, c, 4);
  const auto plain = SubspaceMinimisation().choose(problem.problem());
  for (const double unit : {std::ldexp(1.0, -40), std::ldexp(1.0, 40)}) {
    auto other = krylov_step([=](const Tensor& t) { return unit * h(t); }, theta, unit * c, 4);
    const auto step = SubspaceMinimisation().choose(other.problem());
    EXPECT_LT(relative_error(step.displacement, plain.displacement), 1e-6) << unit;
  }
}

TEST(SubspaceMinimisationTest, TheFloorIsTheDampingOfTheFirstTrial) {
  const auto a = random_spd(10, 1e6, 1);
  const auto b = randn({10}, 2), theta = torch::zeros({10}, torch::kDouble);
  const auto [values, vectors] = torch::linalg_eigh(a);
  const auto along = vectors.t().mv(b);
  for (const double floor : {1e-4, 1e-2, 1.0}) {
    auto problem = krylov_step(quadratic(a, b), theta, a, 10);
    SubspaceMinimisation().floor(floor).choose(problem.problem());
    const auto expected = vectors.mv(along / torch::maximum(values, floor * values.max()));
    ASSERT_GE(problem.trials.displacements.size(), 2u);
    EXPECT_TRUE(identical(problem.trials.displacements[0], theta));
    EXPECT_LT(relative_error(problem.trials.displacements[1], expected), 1e3 * kRounding) << floor;
  }
}

TEST(SubspaceMinimisationTest, InFloat32Too) {
  const auto hessian = random_spd(20, 30, 1).to(torch::kFloat);
  const auto b = randn({20}, 2).to(torch::kFloat), theta = randn({20}, 3).to(torch::kFloat);
  auto problem = krylov_step(quadratic(hessian, b), theta, hessian, 5);
  const auto step = SubspaceMinimisation().choose(problem.problem());
  EXPECT_EQ(step.displacement.scalar_type(), torch::kFloat);
  EXPECT_TRUE(step.found);
  const auto expected = minimiser(hessian, problem.gradient, problem.solution.basis->vectors);
  EXPECT_LT(relative_error(step.displacement, expected), 1e-3);
}

TEST(SubspaceMinimisationTest, BadSettingsAndMissingPiecesThrow) {
  const auto a = random_spd(4, 10, 1);
  auto problem = krylov_step(quadratic(a, randn({4}, 2)), randn({4}, 3), a, 2);
  const auto expect_bad = [&](SubspaceMinimisation rule, const char* needle) {
    expect_error([&] { rule.clone(); }, needle);
    expect_error([&] { rule.choose(problem.problem()); }, needle);
  };
  for (const double bad : {0.0, -1.0, 1.1, std::nan("")}) {
    expect_bad(SubspaceMinimisation().floor(bad), "floor");
  }
  expect_bad(SubspaceMinimisation().max_iterations(0), "max_iterations");
  expect_bad(SubspaceMinimisation().max_evaluations(0), "max_evaluations");
  auto without = problem.problem();
  without.trials = nullptr;
  expect_error([&] { SubspaceMinimisation().choose(without); }, "closure");
  problem.solution.basis = nullptr;
  expect_error([&] { SubspaceMinimisation().choose(problem.problem()); }, "KrylovSubspace");
}

TEST(SubspaceMinimisationTest, TextTellsEverySettingApartAndCloneKeepsThem) {
  const auto text = SubspaceMinimisation().describe();
  EXPECT_NE(text, SubspaceMinimisation().floor(1e-3).describe());
  EXPECT_NE(text, SubspaceMinimisation().max_iterations(31).describe());
  EXPECT_NE(text, SubspaceMinimisation().max_evaluations(61).describe());
  const auto rule = SubspaceMinimisation().floor(1e-3);
  EXPECT_EQ(rule.clone()->describe(), rule.describe());
  EXPECT_TRUE(rule.needs_trials() && rule.needs_basis() && rule.keeps_displacement());
}

}  // namespace
}  // namespace natgrad::testing::subspace_minimisation_test
