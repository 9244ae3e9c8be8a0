#include <natgrad/optim/natural_gradient.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/curvature_cases.h"
#include "support/dense_optimizer.h"
#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::natural_gradient_test {
namespace {

namespace F = torch::nn::functional;

// CG to a residual of 1e-14 on systems of condition up to 1e3, and a few steps of error growth.
constexpr double kSolve = 1e-9;
// Outputs up to which the losses' elementary references keep their digits.
constexpr double kModerate = 30;

// ---- Against explicit matrices and direct solves. ----

/// Convex and bounded below, so that full steps stay where the references are accurate.
bool is_well_behaved(const LossCase& loss) {
  for (const auto* name : {"OwnErrorOfCubes", "OwnFocalLoss", "OwnLogOfLoss", "OwnLossOfTwoOutputs",
                           "OwnLinearLoss"}) {
    if (loss.name == name) return false;
  }
  return true;
}

std::vector<CurvatureCase> well_behaved_cases() {
  std::vector<LossCase> chosen;
  for (const auto& loss : losses()) {
    if (is_well_behaved(loss)) chosen.push_back(loss);
  }
  return curvature_cases(chosen);
}

struct Steps : ::testing::TestWithParam<CurvatureCase> {
  /// Both from the same start, step by step.
  static void expect_same_steps(NaturalGradientOptions options, const DenseSettings& settings) {
    options.curvature(FisherOrGaussNewton());
    const auto network = GetParam().network.make();
    const auto& loss = GetParam().loss;
    NaturalGradient optimizer(network.parameters, options);
    DenseOptimizer reference(GetParam().network.make(), loss, settings);
    for (int k = 0; k < 4; ++k) {
      optimizer.step(loss.loss(split(network.forward(), loss)));
      ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
      reference.step();
      ASSERT_LT(network.forward().abs().max().item<double>(), kModerate);
      EXPECT_LT(relative_error(flat(network.parameters), reference.theta()), kSolve)
          << "step " << k;
      EXPECT_LT(relative_error(torch::tensor(optimizer.summary().gradient_norm, torch::kDouble),
                               reference.gradient().norm()),
                kSolve);
    }
  }
};

TEST_P(Steps, AreTheDampedNewtonSteps) {
  constexpr double kLambda = 1;  // less, and some networks diverge
  expect_same_steps(NaturalGradientOptions(1).damping(Tikhonov(kLambda)).solver(tight_solver()),
                    {.lambda = kLambda, .lr = 1});
}

TEST_P(Steps, AreTheProximalSteps) {
  constexpr double kLambda = 0.5, kDoubling = 2;  // few steps, so that μₜ and rₜ change at once
  const auto proximal = Proximal().fixed_lambda(kLambda).momentum(0.8).memory_doubling(kDoubling);
  expect_same_steps(
      NaturalGradientOptions(0.5).damping(proximal).solver(tight_solver()).weight_decay(0.03),
      {.lambda = kLambda,
       .momentum = 0.8,
       .lr = 0.5,
       .weight_decay = 0.03,
       .memory_doubling = kDoubling});
}

INSTANTIATE_TEST_SUITE_P(Cases, Steps, ::testing::ValuesIn(well_behaved_cases()), ByName());

TEST(NaturalGradientTest, FisherTakesTheStepsOfGaussNewtonForSoftmax) {
  const auto options = NaturalGradientOptions()
                           .curvature(FisherOrGaussNewton())
                           .damping(Proximal().fixed_lambda(0.1))
                           .solver(tight_solver());
  Training gauss_newton(options), fisher(NaturalGradientOptions(options).curvature(Fisher()));
  for (int k = 0; k < 4; ++k) {
    gauss_newton.good_step();
    fisher.good_step();
    EXPECT_LT(relative_error(fisher.theta(), gauss_newton.theta()), kSolve);
  }
}

TEST(NaturalGradientTest, MeasuredNoiseIsARunningMean) {
  // One output of one example: r² = 1, so that every draw is ‖x‖² exactly.
  constexpr double kRounding = 1e-14;
  const auto w = parameter({1, 3}, 6001);
  NaturalGradient optimizer({w});
  double expected = 0;
  for (int k = 0; k < 5; ++k) {
    const auto x = randn({1, 3}, 6002 + k);
    optimizer.step(nll(Gaussian(x.mm(w.t())), torch::zeros({1, 1}, torch::kDouble)));
    const double noise = x.pow(2).sum().item<double>();
    expected = k == 0 ? noise : 0.95 * expected + 0.05 * noise;
    EXPECT_NEAR(optimizer.summary().lambda, expected, kRounding * expected);
  }
}

TEST(NaturalGradientTest, StepsAtAFixedRateFollowTheMeasuredNoise) {
  // As above, now whole steps: λ as measured, μ = 0.95, α = 0.1, T = 50.
  const auto w = parameter({1, 3}, 6011);
  NaturalGradient optimizer({w}, NaturalGradientOptions(0.1).solver(tight_solver()));
  auto theta = w.detach().clone(), delta = torch::zeros({3}, torch::kDouble);
  double lambda = 0;
  for (int k = 0; k < 5; ++k) {
    const auto x = randn({1, 3}, 6012 + k);
    optimizer.step(nll(Gaussian(x.mm(w.t())), torch::ones({1, 1}, torch::kDouble)));
    const double noise = x.pow(2).sum().item<double>();
    lambda = k == 0 ? noise : 0.95 * lambda + 0.05 * noise;
    const auto a = x.t().mm(x) + lambda * torch::eye(3, torch::kDouble);
    const auto g = ((x * theta).sum() - 1) * x[0];
    const double growth = 1 + k / 50.0;
    delta = torch::linalg_solve(a, lambda * (1 - 0.05 / growth) * delta - g);
    theta = theta + 0.1 / std::sqrt(growth) * delta;
    EXPECT_LT(relative_error(w, theta), kSolve) << "step " << k;
  }
}

TEST(NaturalGradientTest, FirstLambdaIsTheTraceOfTheFisherMatrixOverN) {
  constexpr int kSeeds = 400;
  constexpr double kConfidence = 4.5;  // standard errors; the seeds are fixed
  const auto network = tanh_network();
  const auto z = network.forward();
  const auto j = jacobian(z, network.parameters);
  const auto& ce = loss_named("CrossEntropyMean");
  const double expected =
      j.t().mm(closed_form_fisher(ce, {z})).mm(j).trace().item<double>() / kExamples;
  std::vector<double> draws;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto start = tanh_network();
    NaturalGradient optimizer(start.parameters,
                              NaturalGradientOptions().curvature(FisherOrGaussNewton()).seed(seed));
    optimizer.step(ce.loss({start.forward()}));
    draws.push_back(optimizer.summary().lambda);
  }
  const auto sample = torch::tensor(draws, torch::kDouble);
  const double error = sample.std().item<double>() / std::sqrt(double(kSeeds));
  EXPECT_NEAR(sample.mean().item<double>(), expected, kConfidence * error);
  EXPECT_LT(error, 0.1 * expected);
}

// ---- Limits of the damping. ----

struct Limits : ::testing::TestWithParam<CurvatureCase> {
  /// δ of the first step.
  static Tensor step_at(double lambda) {
    const auto network = GetParam().network.make();
    const auto before = flat(network.parameters).detach().clone();
    NaturalGradient optimizer(
        network.parameters,
        NaturalGradientOptions(1).damping(Tikhonov(lambda)).solver(tight_solver()));
    optimizer.step(GetParam().loss.loss(split(network.forward(), GetParam().loss)));
    return flat(network.parameters).detach() - before;
  }
  Network network = GetParam().network.make();
  Tensor z = network.forward();
  Tensor g = gradient_of(GetParam().loss.reference(split(z, GetParam().loss)), network.parameters);
};

TEST_P(Limits, SmallDampingApproachesTheNaturalGradientLinearly) {
  const auto j = jacobian(z, network.parameters);
  const auto f = j.t().mm(closed_form_fisher(GetParam().loss, split(z, GetParam().loss))).mm(j);
  const auto natural = -torch::linalg_solve(f, g);
  const double scale = f.diag().mean().item<double>();
  const double coarse = relative_error(step_at(1e-5 * scale), natural);
  const double fine = relative_error(step_at(1e-6 * scale), natural);
  EXPECT_LT(fine, 0.05);
  EXPECT_NEAR(coarse / fine, 10, 1);
}

TEST_P(Limits, LargeDampingApproachesTheGradientLinearly) {
  const double coarse = relative_error(step_at(1e4) * 1e4, -g);
  const double fine = relative_error(step_at(1e5) * 1e5, -g);
  EXPECT_LT(fine, 0.01);
  EXPECT_NEAR(coarse / fine, 10, 1);
}

std::vector<CurvatureCase> cases_of_full_rank() {
  std::vector<CurvatureCase> cases;
  for (const auto& network : networks()) {
    if (network.name != "Linear" && network.name != "ScalarParameters") continue;
    for (const auto* loss : {"NllGaussianMean", "BinaryCrossEntropyMean", "NllBernoulliWeighted"}) {
      cases.push_back({network.name + "Under" + loss, network, loss_named(loss)});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, Limits, ::testing::ValuesIn(cases_of_full_rank()), ByName());

// ---- The loss's unit. ----

struct LossScale : ::testing::TestWithParam<double> {};

TEST_P(LossScale, DoesNotChangeTheDefaultSteps) {
  constexpr double kRounding = 1e-10;  // ten steps
  Training plain, scaled;
  for (int k = 0; k < 10; ++k) {
    plain.good_step();
    scaled.optimizer->step(GetParam() * scaled.loss(k));
    EXPECT_EQ(scaled.summary().solver.iterations, plain.summary().solver.iterations);
  }
  EXPECT_LT(relative_error(scaled.theta(), plain.theta()), kRounding);
  EXPECT_NEAR(scaled.summary().lambda / plain.summary().lambda, GetParam(), kRounding * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Factors, LossScale, ::testing::Values(128., 100., 1e-3, 1e8),
                         [](const auto& info) { return std::to_string(info.index); });

TEST(NaturalGradientTest, PowerOfTwoTimesTheLossTakesTheSameStepsBitForBit) {
  // By iterations: the dual takes the weights' roots, as rows do, and √128 is rounded.
  const auto options = NaturalGradientOptions()
                           .curvature(FisherOrGaussNewton())
                           .solver(ConjugateGradient().max_iterations(10).tolerance(1e-2));
  Training plain(options), scaled(options);
  for (int k = 0; k < 10; ++k) {
    plain.good_step();
    scaled.optimizer->step(128 * scaled.loss(k));
  }
  EXPECT_TRUE(same_bits(scaled.theta(), plain.theta()));
}

// ---- How step is called. ----

TEST(NaturalGradientTest, StepOnALossAndOnAClosureAreTheSame) {
  Training by_loss, by_closure;
  for (int k = 0; k < 4; ++k) {
    const auto loss = by_loss.loss(k);
    const auto a = by_loss.optimizer->step(loss);
    const auto b = by_closure.optimizer->step([&] { return by_closure.loss(k); });
    EXPECT_TRUE(same_bits(a, b));
    EXPECT_TRUE(same_bits(a, loss));
    EXPECT_FALSE(a.requires_grad());
    EXPECT_TRUE(same_bits(by_loss.theta(), by_closure.theta()));
  }
}

TEST(NaturalGradientTest, StepsThroughTheBaseClass) {
  Training direct, through_base;
  torch::optim::Optimizer& base = *through_base.optimizer;
  for (int k = 0; k < 3; ++k) {
    direct.good_step();
    base.zero_grad();
    base.step([&] { return through_base.loss(k); });
  }
  EXPECT_TRUE(same_bits(direct.theta(), through_base.theta()));
}

TEST(NaturalGradientTest, CallsTheClosureOnceAStep) {
  Training training;
  int calls = 0;
  for (int k = 0; k < 3; ++k) {
    training.optimizer->step([&] {
      ++calls;
      return training.loss(k);
    });
  }
  EXPECT_EQ(calls, 3);
}

TEST(NaturalGradientTest, BatchNormStatisticsMoveOnceAStep) {
  auto model = classifier(/*noisy=*/true);
  NaturalGradient optimizer(model->parameters(), NaturalGradientOptions().module(model.ptr()));
  for (int k = 0; k < 3; ++k) {
    optimizer.step(
        [&] { return F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k)); });
  }
  const auto& norm = *model[1]->as<torch::nn::BatchNorm1d>();
  EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 3);
}

TEST(NaturalGradientTest, LeavesGradAsItIs) {
  Training training;
  training.loss(0).backward();
  training.parameters()[1].mutable_grad() = Tensor();
  std::vector<Tensor> gradients;
  for (const auto& p : training.parameters()) {
    gradients.push_back(p.grad().defined() ? p.grad().clone() : Tensor());
  }
  training.good_step();
  for (size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_TRUE(same_bits(training.parameters()[i].grad(), gradients[i])) << i;
  }
}

TEST(NaturalGradientTest, DoesNotUseTheUsersGenerator) {
  Training training;
  torch::manual_seed(5);
  const auto expected = torch::rand({3});
  torch::manual_seed(5);
  for (int k = 0; k < 3; ++k) training.good_step();
  EXPECT_TRUE(same_bits(torch::rand({3}), expected));
}

TEST(NaturalGradientTest, IsBitwiseReproducibleBySeed) {
  // Score rows draw no random numbers.
  const auto options = NaturalGradientOptions().curvature(FisherOrGaussNewton());
  Training one(options), same(options), other(NaturalGradientOptions(options).seed(1));
  for (int k = 0; k < 5; ++k) {
    for (auto* training : {&one, &same, &other}) training->good_step();
    torch::rand({2});  // what others draw does not matter
  }
  EXPECT_TRUE(same_bits(one.theta(), same.theta()));
  EXPECT_NE(one.summary().lambda, other.summary().lambda);
}

TEST(NaturalGradientTest, UsesEditsThatTheUserMadeBetweenSteps) {
  // Faults, row 32.
  const auto options = NaturalGradientOptions(1).damping(Tikhonov(0.1)).solver(tight_solver());
  Training edited(options), fresh(options);
  edited.good_step();
  const auto set = [](Training& training) {
    const torch::NoGradGuard no_grad;
    for (auto& p : training.parameters()) p.fill_(0.1);
  };
  set(edited);
  set(fresh);
  edited.optimizer->step(edited.loss(5));
  fresh.optimizer->step(fresh.loss(5));
  EXPECT_TRUE(same_bits(edited.theta(), fresh.theta()));
}

// ---- The report. ----

TEST(NaturalGradientTest, SummaryReportsTheStep) {
  constexpr double kRounding = 1e-13;
  Training training(NaturalGradientOptions(0.5)
                        .damping(Proximal().fixed_lambda(0.25))
                        .solver(ConjugateGradient().max_iterations(3).tolerance(0)));
  for (int k = 0; k < 2; ++k) {
    const double loss = training.loss(k).item<double>();
    const double gradient_norm =
        gradient_of(training.loss(k), training.parameters()).norm().item<double>();
    const auto before = training.theta();
    training.good_step();
    const auto& summary = training.summary();
    EXPECT_EQ(summary.outcome, StepOutcome::Accepted);
    EXPECT_FALSE(summary.restored);
    EXPECT_EQ(summary.step, k + 1);
    EXPECT_EQ(summary.loss, loss);
    EXPECT_EQ(summary.lambda, 0.25);
    EXPECT_NEAR(summary.gradient_norm, gradient_norm, kRounding * gradient_norm);
    const double moved = (training.theta() - before).norm().item<double>();
    EXPECT_NEAR(summary.step_norm, moved, kRounding * moved);
    EXPECT_EQ(summary.solver.iterations, 3);
    EXPECT_EQ(summary.solver.termination, Termination::IterationLimit);
  }
}

TEST(NaturalGradientTest, DefaultTrainsAClassifier) {
  Training training;
  const double start = training.loss(0).item<double>();
  for (int k = 0; k < 60; ++k) {
    training.optimizer->step(training.loss(0));
    EXPECT_LT(training.summary().loss, 1.05 * start);
  }
  EXPECT_LT(training.loss(0).item<double>(), 0.1 * start);
}

// ---- Dtypes. ----

TEST(NaturalGradientTest, Float32StepsAreTheDoubleOnesToItsRounding) {
  constexpr double kFloatRounding = 1e-4;  // eps 6e-8, condition 1e3
  const auto options = NaturalGradientOptions(1)
                           .damping(Tikhonov(0.1))
                           .solver(ConjugateGradient().max_iterations(200).tolerance(1e-6));
  Training wide(options);
  auto model = classifier();
  model->to(torch::kFloat);
  NaturalGradient narrow(model->parameters(), options);
  const auto before = wide.theta();
  wide.good_step();
  narrow.step(
      F::cross_entropy(model->forward(Training::inputs(0).to(torch::kFloat)), Training::labels(0)));
  const auto theta = flat(model->parameters()).detach();
  EXPECT_EQ(theta.scalar_type(), torch::kFloat);
  EXPECT_LT(relative_error(theta.to(torch::kDouble) - before, wide.theta() - before),
            kFloatRounding);
}

TEST(NaturalGradientTest, Float32TrainsByDefault) {
  auto model = classifier();
  model->to(torch::kFloat);
  NaturalGradient optimizer(model->parameters());
  const auto loss = [&] {
    return F::cross_entropy(model->forward(Training::inputs(0).to(torch::kFloat)),
                            Training::labels(0));
  };
  const double start = loss().item<double>();
  for (int k = 0; k < 60; ++k) optimizer.step(loss);
  EXPECT_LT(loss().item<double>(), 0.1 * start);
}

}  // namespace
}  // namespace natgrad::testing::natural_gradient_test
