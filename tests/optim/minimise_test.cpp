// When `minimise` ends, what it says of the end, and what it leaves behind.

#include <natgrad/damping/nielsen.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/minimise.h>
#include <natgrad/optim/presets.h>

#include "support/oracles.h"

namespace natgrad::testing::minimise_test {
namespace {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;
using LossClosure = NaturalGradient::LossClosure;

// Designs of condition 10 and less.
constexpr double kRounding = 1e-12;
// Of covariances, which hold the coefficients' error twice.
constexpr double kOfCovariance = 1e-11;
constexpr int64_t kRows = 30, kColumns = 3;

Tensor numbers(const std::vector<double>& values) { return torch::tensor(values, torch::kDouble); }

Tensor start(const std::vector<double>& values) { return numbers(values).requires_grad_(); }

/// Σ r².
LossClosure squares(const std::function<Tensor()>& residuals) {
  return [residuals] {
    const auto r = residuals();
    return torch::mse_loss(r, torch::zeros_like(r), Reduction::Sum);
  };
}

struct Linear {
  Tensor x = randn({kRows, kColumns}, 41), y = randn({kRows}, 42);
  Tensor b = start({1, 1, 1});

  Tensor solution() const { return torch::linalg_solve(x.t().mm(x), x.t().mv(y)); }
  LossClosure loss(Reduction reduction = Reduction::Mean) const {
    return [=, *this] { return torch::mse_loss(x.mv(b), y, reduction); };
  }
};

/// b₀ (1 - exp(-b₁ x)) of noisy data.
struct Saturation {
  Tensor x = torch::arange(1, 15, torch::kDouble) / 4;
  Tensor y = 2 * (1 - (-0.7 * x).exp()) + 0.05 * randn({14}, 43);
  Tensor b = start({1, 0.3});

  LossClosure loss() const {
    return squares([*this] { return b[0] * (1 - (-b[1] * x).exp()) - y; });
  }
};

LossClosure rosenbrock(const Tensor& b) {
  return squares([b] { return torch::stack({10 * (b[1] - b[0].square()), 1 - b[0]}); });
}

NaturalGradient least_squares(const Tensor& b) {
  return NaturalGradient({b}, presets::least_squares());
}

Minimum run(const Tensor& b, const LossClosure& loss, const Convergence& convergence = {}) {
  auto optimizer = least_squares(b);
  return minimise(optimizer, loss, convergence);
}

// Why it ended.

TEST(MinimiseTest, EndsByTheGradient) {
  constexpr double kGradient = 1e-6;
  const Saturation problem;
  auto optimizer = least_squares(problem.b);
  const auto minimum =
      minimise(optimizer, problem.loss(), Convergence().gradient(kGradient).step(0));
  EXPECT_EQ(minimum.reason, Stop::Gradient) << minimum.message();
  EXPECT_LE(optimizer.summary().gradient_norm, kGradient);
  EXPECT_TRUE(minimum.converged) << minimum.message();
}

TEST(MinimiseTest, EndsByTheStep) {
  constexpr double kStep = 1e-3;
  const Saturation problem, watched;
  const auto minimum = run(problem.b, problem.loss(), Convergence().step(kStep));
  EXPECT_EQ(minimum.reason, Stop::Step) << minimum.message();
  auto optimizer = least_squares(watched.b);
  double change = 1;
  int64_t steps = 0;
  for (; change > kStep; ++steps) {
    const auto before = watched.b.detach().clone();
    optimizer.step(watched.loss());
    change = ((watched.b - before) / watched.b).abs().max().item<double>();
  }
  EXPECT_EQ(minimum.steps, steps);
}

TEST(MinimiseTest, EndsByTheLoss) {
  const Saturation problem;
  const auto minimum = run(problem.b, problem.loss(), Convergence().step(0).loss(1e-4));
  EXPECT_EQ(minimum.reason, Stop::Loss) << minimum.message();
}

TEST(MinimiseTest, EndsByRounding) {
  // Brown's and Dennis's function: of residuals so large that the steps of Gauss and Newton shrink
  // by a share, and still move θ where h shows nothing of it any more.
  const auto t = torch::arange(1, 21, torch::kDouble) / 5;
  const auto b = start({25, 5, -5, -1});
  const auto minimum = run(b, squares([&] {
                             return (b[0] + t * b[1] - t.exp()).square() +
                                    (b[2] + b[3] * t.sin() - t.cos()).square();
                           }));
  EXPECT_EQ(minimum.reason, Stop::Rounding) << minimum.message();
  EXPECT_TRUE(minimum.converged) << minimum.message();
  EXPECT_NEAR(minimum.loss, 85822.20162635, 1e-7);
}

TEST(MinimiseTest, EndsWhereTheDataAreMet) {
  const auto b = start({-1.2, 1});
  const auto minimum = run(b, rosenbrock(b));
  EXPECT_EQ(minimum.reason, Stop::Vanished) << minimum.message();
  EXPECT_TRUE(minimum.converged);
  EXPECT_LT(relative_error(b, numbers({1, 1})), kRounding);
}

TEST(MinimiseTest, EndsOnAPlateau) {
  Saturation problem;
  problem.b = start({1, 300});
  const auto minimum = run(problem.b, problem.loss());
  EXPECT_EQ(minimum.reason, Stop::Flat) << minimum.message();
  EXPECT_FALSE(minimum.converged);
}

TEST(MinimiseTest, EndsAtASaddle) {
  const auto b = start({0, 0});
  const auto minimum = run(b, squares([&] {
                             return torch::stack({1 - 2 * b[1].square(), b[1], b[0] - 3});
                           }));
  EXPECT_EQ(minimum.reason, Stop::Saddle) << minimum.message();
  EXPECT_FALSE(minimum.converged);
}

TEST(MinimiseTest, EndsAtASaddleOfManyParameters) {
  // More than are looked at one by one.
  const auto b = torch::zeros({90}, torch::kDouble).requires_grad_();
  const auto minimum =
      run(b, squares([&] {
            const auto y = b[0];
            return torch::cat({torch::stack({1 - 2 * y.square(), y}), b.narrow(0, 1, 89) - 3});
          }));
  EXPECT_EQ(minimum.reason, Stop::Saddle) << minimum.message();
}

TEST(MinimiseTest, EndsWhereNoStepIsBetter) {
  // At a wall: however short, a step down is NaN.
  const auto b = start({0});
  const auto minimum = run(b, squares([&] { return torch::where(b < 0, std::nan(""), b + 3); }));
  EXPECT_EQ(minimum.reason, Stop::Stalled) << minimum.message();
  EXPECT_FALSE(minimum.converged) << minimum.message();
  EXPECT_EQ(b.item<double>(), 0);
}

TEST(MinimiseTest, ASlopeOfTheWrongSignIsNoMinimum) {
  const auto b = start({1});
  const auto minimum = run(b, squares([&] { return 3 + b - 2 * b.detach(); }));
  EXPECT_FALSE(minimum.converged) << minimum.message();
  EXPECT_EQ(b.item<double>(), 1);
}

TEST(MinimiseTest, EndsAtALossThatIsNotFinite) {
  const auto b = start({-1});
  const auto minimum = run(b, squares([&] { return b.sqrt() - 2; }));
  EXPECT_EQ(minimum.reason, Stop::NonFinite) << minimum.message();
  EXPECT_FALSE(minimum.converged);
  EXPECT_TRUE(std::isnan(minimum.loss));
}

TEST(MinimiseTest, EndsAtAGradientThatIsNotFinite) {
  const auto b = start({0});
  const auto minimum = run(b, squares([&] { return b.sqrt() + 2; }));
  EXPECT_EQ(minimum.reason, Stop::NonFinite) << minimum.message();
}

TEST(MinimiseTest, EndsAfterSoManySteps) {
  const Saturation problem;
  const auto minimum = run(problem.b, problem.loss(), Convergence().max_steps(2));
  EXPECT_EQ(minimum.reason, Stop::MaxSteps) << minimum.message();
  EXPECT_EQ(minimum.steps, 2);
  EXPECT_FALSE(minimum.converged);
}

// What it says.

TEST(MinimiseTest, CovarianceOfLinearRegressionIsTheClosedForm) {
  for (const auto reduction : {Reduction::Mean, Reduction::Sum}) {
    const Linear problem;
    const auto minimum = run(problem.b, problem.loss(reduction));
    EXPECT_TRUE(minimum.converged) << minimum.message();
    EXPECT_LT(relative_error(problem.b, problem.solution()), kRounding);
    const auto residuals = problem.x.mv(problem.solution()) - problem.y;
    const auto s2 = residuals.square().sum() / (kRows - kColumns);
    const auto expected = s2 * torch::linalg_inv(problem.x.t().mm(problem.x));
    EXPECT_LT(relative_error(minimum.covariance, expected), kOfCovariance);
    EXPECT_LT(relative_error(minimum.standard_errors, expected.diagonal().sqrt()), kOfCovariance);
  }
}

TEST(MinimiseTest, ObservationsWithoutWeightDoNotCount) {
  const Linear problem;
  const auto mask = (torch::arange(kRows) < 20).to(torch::kDouble);
  const auto minimum = run(problem.b, [&] {
    return (mask * (problem.x.mv(problem.b) - problem.y).square()).sum() / mask.sum();
  });
  const auto x = problem.x.narrow(0, 0, 20), y = problem.y.narrow(0, 0, 20);
  const auto b = torch::linalg_solve(x.t().mm(x), x.t().mv(y));
  const auto s2 = (x.mv(b) - y).square().sum() / (20 - kColumns);
  EXPECT_LT(relative_error(minimum.covariance, s2 * torch::linalg_inv(x.t().mm(x))), kOfCovariance);
}

TEST(MinimiseTest, ObservationsThatAMaskTakesOutOfTheResidualsDoNotCount) {
  const Linear problem;
  auto mask = torch::ones({kRows}, torch::kDouble);
  mask.narrow(0, 10, kRows - 10).zero_();
  const auto masked = run(
      problem.b, [&] { return ((problem.x.mv(problem.b) - problem.y) * mask).square().mean(); });
  const auto x = problem.x.narrow(0, 0, 10), y = problem.y.narrow(0, 0, 10);
  const auto plain = run(problem.b, [&] { return torch::mse_loss(x.mv(problem.b), y); });
  EXPECT_LT(relative_error(masked.covariance, plain.covariance), kOfCovariance);
}

TEST(MinimiseTest, AnObservationOfSeveralOutputsCountsOnce) {
  const auto x = randn({40, 2}, 51), x2 = randn({90, 2}, 52);
  const auto y = torch::arange(40) % 3, y2 = (torch::arange(90) % 2).to(torch::kDouble);
  auto V = (0.1 * randn({2, 2}, 53)).requires_grad_();
  const auto whole = [&] {
    const auto z = torch::cat({V, torch::zeros({1, 2}, torch::kDouble)}).mm(x.t()).t();
    return F::cross_entropy(z, y) + 3 * F::binary_cross_entropy_with_logits(x2.mv(V[0]), y2);
  };
  const auto minimum = run(V, whole);
  // The weights, 1/40 and 3/90, add up to 4 over 130 observations; C is the Hessian, both
  // families'.
  const auto g = torch::autograd::grad({whole()}, {V}, {}, true, true)[0].reshape(-1);
  std::vector<Tensor> hessian;
  for (int64_t k = 0; k < 4; ++k) {
    hessian.push_back(torch::autograd::grad({g[k]}, {V}, {}, true)[0].reshape(-1));
  }
  const auto expected = 4. / 130 * torch::linalg_inv(torch::stack(hessian));
  EXPECT_LT(relative_error(minimum.covariance, expected), 1e-8);
}

TEST(MinimiseTest, CovarianceOfPoissonRegressionIsTheInverseInformation) {
  const Linear problem;
  const auto y = (2 * torch::rand({kRows}, seeded(44), torch::kDouble) + 1).round();
  for (const auto reduction : {Reduction::Mean, Reduction::Sum}) {
    const auto b = start({0, 0, 0});
    const auto minimum = run(b, [&] {
      return torch::poisson_nll_loss(problem.x.mv(b), y, /*log_input=*/true, /*full=*/false, 1e-8,
                                     reduction);
    });
    EXPECT_TRUE(minimum.converged) << minimum.message();
    const auto mean = problem.x.mv(b).exp().detach();
    EXPECT_LT(problem.x.t().mv(y - mean).norm().item<double>(), kOfCovariance);
    const auto information = problem.x.t().mm(mean.unsqueeze(1) * problem.x);
    EXPECT_LT(relative_error(minimum.covariance, torch::linalg_inv(information)), kOfCovariance);
  }
}

TEST(MinimiseTest, AParameterThatIsZeroAtTheMinimumIsNotFlat) {
  // y is orthogonal to the second column, whose coefficient is zero.
  const auto x = random_orthogonal(kRows, 45).narrow(1, 0, 4);
  const auto y = x.select(1, 0) * 2 + x.select(1, 3);
  const auto b = start({1, 1, 1});
  const auto minimum = run(b, squares([&] { return x.narrow(1, 0, 3).mv(b) - y; }));
  EXPECT_TRUE(minimum.converged) << minimum.message();
  EXPECT_LT((b - numbers({2, 0, 0})).abs().max().item<double>(), kRounding);
}

TEST(MinimiseTest, ParametersThatOnlyTheirSumDeterminesHaveNoCovariance) {
  const Linear problem;
  const auto b = start({1, 1, 1, 1});
  const auto x = torch::cat({problem.x, problem.x.narrow(1, 0, 1)}, 1);
  const auto minimum = run(b, squares([&] { return x.mv(b) - problem.y; }));
  EXPECT_TRUE(minimum.converged) << minimum.message();
  EXPECT_FALSE(minimum.covariance.defined());
  EXPECT_TRUE(std::isnan(minimum.digits)) << minimum.message();
  EXPECT_LT(relative_error(x.mv(b), problem.x.mv(problem.solution())), kRounding);
}

TEST(MinimiseTest, Float32IsMinimisedToItsRounding) {
  constexpr double kFloat = 1e-5;
  const Linear problem;
  const auto b = torch::ones({kColumns}, torch::kFloat).requires_grad_();
  const auto x = problem.x.to(torch::kFloat), y = problem.y.to(torch::kFloat);
  const auto minimum = run(b, [&] { return torch::mse_loss(x.mv(b), y); });
  EXPECT_TRUE(minimum.converged) << minimum.message();
  EXPECT_LT(relative_error(b, problem.solution()), kFloat);
}

TEST(MinimiseTest, Float32DataThatAreMetVanish) {
  const Linear problem;
  const auto b = torch::ones({kColumns}, torch::kFloat).requires_grad_();
  const auto x = problem.x.to(torch::kFloat);
  const auto y = x.mv(numbers({0.3, -2, 1}).to(torch::kFloat));
  const auto minimum = run(b, [&] { return torch::mse_loss(x.mv(b), y); });
  EXPECT_EQ(minimum.reason, Stop::Vanished) << minimum.message();
}

TEST(MinimiseTest, MessageTellsTheEnd) {
  Minimum minimum;
  minimum.reason = Stop::Rounding;
  minimum.converged = true;
  minimum.steps = 12;
  minimum.loss = 0.25;
  minimum.gradient_norm = 1e-9;
  EXPECT_EQ(minimum.message(), "converged after 12 steps (Rounding): loss 0.25, gradient 1e-09");
  minimum.converged = false;
  minimum.reason = Stop::Flat;
  minimum.offset = 1e-3;
  minimum.digits = 2.25;
  EXPECT_EQ(minimum.message(),
            "not converged after 12 steps (Flat): loss 0.25, gradient 1e-09, offset 0.001, digits "
            "2.2");
}

TEST(MinimiseTest, EveryReasonHasAName) {
  const std::vector<std::pair<Stop, std::string>> names = {
      {Stop::Gradient, "Gradient"}, {Stop::Step, "Step"},         {Stop::Loss, "Loss"},
      {Stop::Rounding, "Rounding"}, {Stop::Vanished, "Vanished"}, {Stop::Flat, "Flat"},
      {Stop::Saddle, "Saddle"},     {Stop::Stalled, "Stalled"},   {Stop::NonFinite, "NonFinite"},
      {Stop::MaxSteps, "MaxSteps"}};
  for (const auto& [reason, name] : names) EXPECT_EQ(to_string(reason), name);
}

TEST(MinimiseTest, SettingsThatAreNoneThrow) {
  const Linear problem;
  const auto refuses = [&](const Convergence& convergence, const char* words) {
    expect_error([&] { run(problem.b, problem.loss(), convergence); }, words);
  };
  refuses(Convergence().gradient(-1), "gradient -1");
  refuses(Convergence().step(std::nan("")), "step nan");
  refuses(Convergence().loss(-0.5), "loss -0.5");
  refuses(Convergence().max_steps(0), "max_steps >= 1, but got 0");
}

// What else is minimised.

TEST(MinimiseTest, PenaltiesArePartOfTheMinimum) {
  constexpr double kPenalty = 0.3;
  const Linear problem;
  const auto minimum = run(problem.b, [&] {
    return problem.loss(Reduction::Sum)() + kPenalty * problem.b.square().sum();
  });
  const auto matrix = problem.x.t().mm(problem.x) + kPenalty * torch::eye(kColumns, torch::kDouble);
  const auto ridge = torch::linalg_solve(matrix, problem.x.t().mv(problem.y));
  EXPECT_TRUE(minimum.converged) << minimum.message();
  EXPECT_LT(relative_error(problem.b, ridge), 1e-8) << minimum.message();
  EXPECT_TRUE(std::isnan(minimum.offset));
  EXPECT_FALSE(minimum.covariance.defined());
}

TEST(MinimiseTest, WeightDecayIsNotPolishedAway) {
  // So little that the offset of h alone is small at the minimum of both.
  constexpr double kDecay = 1e-5;
  const Linear problem;
  NaturalGradient optimizer({problem.b}, presets::least_squares().weight_decay(kDecay));
  minimise(optimizer, problem.loss(Reduction::Sum));
  const auto matrix =
      2 * problem.x.t().mm(problem.x) + kDecay * torch::eye(kColumns, torch::kDouble);
  const auto ridge = torch::linalg_solve(matrix, 2 * problem.x.t().mv(problem.y));
  EXPECT_LT(relative_error(problem.b, ridge), 1e-9);
  EXPECT_GT(relative_error(problem.b, problem.solution()), 1e-8);
}

TEST(MinimiseTest, TheTestByTheLossLooksAtTheWholeObjective) {
  constexpr double kMinimiser = 4. / 3;  // of ½ ((b - 1)² + (b - 3)²) + ½ b²
  auto b = start({2});
  const auto loss = [&] {
    return torch::mse_loss(torch::cat({b - 1, b - 3}), torch::zeros({2}, torch::kDouble));
  };
  NaturalGradient optimizer({b}, presets::least_squares().weight_decay(1).damping(Nielsen()));
  minimise(optimizer, loss, Convergence().loss(1e-12));
  EXPECT_NEAR(b.item<double>(), kMinimiser, 1e-5);
}

TEST(MinimiseTest, AGroupWithoutARateStays) {
  const Linear problem;
  const auto fixed = start({0.5});
  auto still = presets::least_squares().lr(0);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<Tensor>{problem.b});
  groups.emplace_back(std::vector<Tensor>{fixed}, std::make_unique<NaturalGradientOptions>(still));
  NaturalGradient optimizer(groups, presets::least_squares());
  minimise(optimizer, squares([&] { return problem.x.mv(problem.b) + fixed - problem.y; }),
           Convergence().max_steps(200));
  EXPECT_EQ(fixed.item<double>(), 0.5);
}

// What it leaves behind.

TEST(MinimiseTest, AClosureThatThrowsLeavesTheParametersOfSomeStep) {
  std::vector<Tensor> ends = {Saturation().b.detach().clone()};
  int64_t calls = 0;
  {
    const Saturation problem;
    auto optimizer = least_squares(problem.b);
    const auto minimum = minimise(optimizer, [&, loss = problem.loss()] {
      ++calls;
      return loss();
    });
    const Saturation stepped;
    auto again = least_squares(stepped.b);
    for (int64_t k = 0; k < minimum.steps; ++k) {
      again.step(stepped.loss());
      ends.push_back(stepped.b.detach().clone());
    }
  }
  ASSERT_GT(calls, 10);
  size_t reached = 0;
  for (int64_t last = 1; last <= calls; ++last) {
    const Saturation problem;
    auto optimizer = least_squares(problem.b);
    int64_t call = 0;
    const auto loss = [&, whole = problem.loss()] {
      if (++call == last) throw std::runtime_error("no more");
      return whole();
    };
    EXPECT_THROW(minimise(optimizer, loss), std::runtime_error) << last;
    // Never back; and after the last step that step's, or what was made of it.
    size_t at = reached;
    while (at < ends.size() && !torch::equal(problem.b.detach(), ends[at])) ++at;
    EXPECT_LT(at, ends.size()) << "call " << last << " of " << calls;
    reached = std::min(at, ends.size() - 1);
  }
  EXPECT_EQ(reached, ends.size() - 1);
}

}  // namespace
}  // namespace natgrad::testing::minimise_test
