// Faults that were met in the field, each with its right value.

#include <gtest/gtest.h>
#include <natgrad/curvatures.h>
#include <natgrad/likelihoods.h>
#include <natgrad/natgrad.h>
#include <natgrad/solvers/steihaug_conjugate_gradient.h>
#include <torch/torch.h>

#include <functional>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/warnings.h"

namespace natgrad::testing::field_faults_test {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;
using Options = NaturalGradientOptions;

// Of a minimum reached by Newton's steps in double.
constexpr double kReached = 1e-5;
// Of one Newton step on a curvature of 8e-40, which float32 holds to 17 bits.
constexpr double kDenormal = 1e-4;

Tensor number(double value) { return torch::full({1}, value, torch::kDouble).requires_grad_(); }

/// Parts that judge a step by trial losses.
using Judge = std::pair<const char*, std::function<Options()>>;

const auto kJudges = ::testing::Values(
    Judge("LevenbergMarquardt", [] { return Options(1).damping(LevenbergMarquardt()); }),
    Judge("LineSearch", [] { return Options(1).damping(Tikhonov(1e-9)).step_rule(LineSearch()); }),
    Judge("TrustRegion",
          [] { return Options(1).damping(TrustRegion()).solver(SteihaugConjugateGradient()); }));

std::string name_of_judge(const ::testing::TestParamInfo<Judge>& info) { return info.param.first; }

// ---- Closures that differentiate. ----

struct Differentiating : ::testing::TestWithParam<Judge> {};

TEST_P(Differentiating, ReachesTheMinimumThroughTrials) {
  const auto theta = number(0.5);
  const auto points = torch::linspace(0, 1, 5, torch::kDouble);
  NaturalGradient optimizer({theta}, GetParam().second());
  for (int k = 0; k < 20; ++k) {
    optimizer.step([&] {
      const auto x = points.clone().requires_grad_();
      const auto u = (theta * x * x).sum();
      return F::mse_loss(torch::autograd::grad({u}, {x}, {}, true, true)[0], 2 * points);
    });
  }
  EXPECT_NEAR(theta.item<double>(), 1, kReached);
}

INSTANTIATE_TEST_SUITE_P(Rules, Differentiating, kJudges, name_of_judge);

// ---- NaN that the parameters bring. ----

// The full step from 1 leaves the domain of the logarithm: x = -2.76. Minimum of
// (x + 3)² - 0.1 log x.
TEST(FieldFaults, ALogarithmOutOfItsDomainIsTakenBackAndApproachedAgain) {
  for (const bool by_closure : {true, false}) {
    SCOPED_TRACE(by_closure);
    const auto x = number(1);
    NaturalGradient optimizer({x}, Options(1).damping(Tikhonov(1e-3)));
    const auto loss = [&] {
      return F::mse_loss(x * 1, torch::full({1}, -3., torch::kDouble)) - 0.1 * x.log().sum();
    };
    int taken_back = 0;
    for (int k = 0; k < 40; ++k) {
      by_closure ? optimizer.step(loss) : optimizer.step(loss());
      taken_back += optimizer.summary().restored;
    }
    EXPECT_GT(taken_back, 0);
    EXPECT_NEAR(x.item<double>(), (std::sqrt(9.2) - 3) / 2, kReached);
  }
}

TEST(FieldFaults, ABatchWithoutNumbersLeavesTheParametersAlone) {
  for (const bool by_closure : {true, false}) {
    const auto w = torch::tensor({1., -1.}, torch::kDouble).requires_grad_();
    NaturalGradient optimizer({w}, Options(1).damping(Tikhonov(1e-3)));
    const auto x = randn({4, 2}, 1), y = randn({4}, 2);
    optimizer.step(F::mse_loss(x.mv(w), y));
    const auto before = w.detach().clone();
    auto bad = y.clone();
    bad[2] = std::numeric_limits<double>::quiet_NaN();
    const auto loss = [&] { return F::mse_loss(x.mv(w), bad); };
    by_closure ? optimizer.step(loss) : optimizer.step(loss());
    EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteLoss);
    EXPECT_FALSE(optimizer.summary().restored);
    EXPECT_TRUE(identical(w.detach(), before));
  }
}

TEST(FieldFaults, ARowWithoutNumbersOfASpreadByHandLeavesTheParametersAlone) {
  const auto w = randn({2, 3}, 1).requires_grad_();
  auto x = randn({32, 3}, 2);
  const auto y = randn({32}, 3);
  NaturalGradient optimizer({w});
  const auto loss = [&] {
    const auto z = torch::linear(x, w);
    const auto s = z.select(1, 1);
    return (0.5 * (s + (y - z.select(1, 0)).pow(2) * torch::exp(-s))).mean();
  };
  optimizer.step(loss());
  const auto before = w.detach().clone();
  x[4][1] = std::numeric_limits<double>::quiet_NaN();
  optimizer.step(loss());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_FALSE(optimizer.summary().restored);
  EXPECT_TRUE(identical(w.detach(), before));
}

// ---- Trials outside a family's domain. ----

struct Domains : ::testing::TestWithParam<Judge> {};

TEST_P(Domains, ATrialOutsideCountsAsInfinite) {
  const auto b = torch::tensor({5., 0.}, torch::kDouble).requires_grad_();
  const auto X = torch::tensor({{1., 0.}, {1., 1.}}, torch::kDouble);
  const auto y = torch::tensor({3., 0.2}, torch::kDouble);
  NaturalGradient optimizer({b}, GetParam().second());
  for (int k = 0; k < 100; ++k) optimizer.step([&] { return nll(Exponential(-X.mv(b)), y); });
  const auto rates = X.mv(b.detach());
  EXPECT_NEAR(rates[0].item<double>(), 1. / 3, kReached);
  EXPECT_NEAR(rates[1].item<double>(), 5, kReached);
}

INSTANTIATE_TEST_SUITE_P(Rules, Domains, kJudges, name_of_judge);

// ---- A forward pass of other parameters. ----

TEST(FieldFaults, AForwardPassBeforeTheLastStepIsRefused) {
  torch::nn::Linear net(3, 1);
  const auto x = torch::randn({16, 3}), y = torch::randn({16, 1});
  NaturalGradient optimizer(net->parameters());
  const auto z = net->forward(x);
  optimizer.step(F::mse_loss(z, y));
  const auto before = net->weight.detach().clone();
  expect_error([&] { optimizer.step(F::mse_loss(z, y)); }, "before the last step");
  EXPECT_TRUE(identical(net->weight.detach(), before));
  EXPECT_NO_THROW(optimizer.step(F::mse_loss(net->forward(x), y)));
}

TEST(FieldFaults, AViewOfAParameterMovesWithIt) {
  const auto w = torch::ones({1, 3}, torch::kDouble).requires_grad_();
  const auto column = w.t();
  NaturalGradient optimizer({w});
  for (int k = 0; k < 3; ++k) {
    EXPECT_NO_THROW(optimizer.step(F::mse_loss(randn({8, 3}, 1).mm(column), randn({8, 1}, 2))));
  }
}

// ---- The edges of float32. ----

TEST(FieldFaults, ACurvatureBelowTheRangeOfFloat32IsSolved) {
  const auto b = torch::full({1}, -90.f).requires_grad_();
  NaturalGradient optimizer({b}, presets::natural_gradient());
  optimizer.step(nll(Poisson(b * 1), torch::zeros({1})));
  EXPECT_NEAR(b.item<double>(), -91, 91 * kDenormal) << optimizer.summary().message();
}

TEST(FieldFaults, AStepBelowTheRoundingOfTheParametersIsNamed) {
  const auto w = torch::full({1}, 2.f).requires_grad_();
  NaturalGradient optimizer({w}, Options(1).damping(Tikhonov(1e9)));
  optimizer.step(F::mse_loss(w * 1, torch::zeros({1})));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::BelowRounding);
  EXPECT_EQ(w.item<float>(), 2.f);
}

TEST(FieldFaults, AStepOfRateZeroSaysThatItIs) {
  const auto w = torch::full({1}, 2.f).requires_grad_();
  NaturalGradient optimizer({w}, Options(0).damping(Tikhonov(1)));
  optimizer.step(F::mse_loss(w * 1, torch::zeros({1})));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::BelowRounding);
  EXPECT_NE(optimizer.summary().message().find("lr is 0"), std::string::npos)
      << optimizer.summary().message();
}

// A checkpoint of a run that had gone wrong, say. It is told once, also to who looks at no summary.
TEST(FieldFaults, AParameterWithoutANumberIsNamed) {
  const auto w = torch::tensor({1., 2.}, torch::kDouble).requires_grad_();
  const auto b = torch::full({1}, std::nan(""), torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w, b});
  Warnings warnings;
  const auto x = randn({4, 2}, 1), y = randn({4}, 2);
  for (int k = 0; k < 2; ++k) optimizer.step(F::mse_loss(x.mv(w) + b, y));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::NonFiniteLoss);
  EXPECT_EQ(optimizer.summary().faulty_parameter, 1);
  EXPECT_EQ(warnings.count("parameter 1 holds NaN or infinity"), 1);
}

TEST(FieldFaults, OfABatchWithoutNumbersNoParameterIsNamed) {
  const auto w = torch::tensor({1., 2.}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w});
  Warnings warnings;
  optimizer.step(
      F::mse_loss(randn({4, 2}, 1).mv(w), torch::full({4}, std::nan(""), torch::kDouble)));
  EXPECT_EQ(optimizer.summary().faulty_parameter, -1);
  EXPECT_EQ(warnings.count("look for NaN or infinity in this batch"), 1);
}

// What is said in full once, by a warning and in `degradations`, is a clause in a log.
TEST(FieldFaults, TheMessageOfALossThatIsNotReadIsOneLine) {
  const Warnings libtorchs;
  const auto w = randn({2, 3}, 1).requires_grad_();
  NaturalGradient optimizer({w});
  optimizer.step(torch::linear(randn({8, 3}, 2), w).sinh().mean());
  const auto& summary = optimizer.summary();
  ASSERT_EQ(summary.degradations.size(), 1);
  EXPECT_NE(summary.degradations[0].find('\n'), std::string::npos);
  EXPECT_EQ(summary.message().find('\n'), std::string::npos) << summary.message();
  EXPECT_LT(summary.message().size(), 500u) << summary.message();
}

TEST(FieldFaults, OutputsInFloat16AreRefusedByName) {
  const auto w = torch::full({1}, 1.f).requires_grad_();
  NaturalGradient optimizer({w});
  const auto z = (w.expand({4}) * 1).to(torch::kHalf);
  expect_error([&] { optimizer.step(F::mse_loss(z, torch::zeros({4}, torch::kHalf))); }, "float16");
}

// ---- A backward on raw data. ----

struct RawSine : torch::autograd::Function<RawSine> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x.sin();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const torch::NoGradGuard no_grad;
    return {gradients[0] * context->get_saved_variables()[0].cos()};
  }
};

TEST(FieldFaults, AHessianThroughARawBackwardIsRefused) {
  const auto t = number(1.2);
  const auto loss = F::mse_loss(RawSine::apply(3 * t), torch::zeros({1}, torch::kDouble));
  const LossGraph graph(loss, {t}, Terms::WhenAsked);
  expect_error([&] { hessian(graph); }, "RawSine");
  const LossGraph penalised(
      F::mse_loss(t * 1, torch::zeros({1}, torch::kDouble)) + penalty(RawSine::apply(3 * t).sum()),
      {t});
  expect_error([&] { penalty_hessian(penalised); }, "RawSine");
}

TEST(FieldFaults, ARawBackwardInAUsersOwnLossIsRefused) {
  const auto t = torch::tensor({1.2, 0.4}, torch::kDouble).requires_grad_();
  const auto loss_of = [&](const Tensor& z) { return RawSine::apply(z).square().mean(); };
  const LossGraph graph(loss_of(outputs(3 * t)), {t}, Terms::WhenAsked);
  expect_error([&] { gauss_newton(graph).multiply(torch::ones({2}, torch::kDouble)); }, "RawSine");
  NaturalGradient optimizer({t}, Options(1).curvature(GaussNewton()).damping(Tikhonov(1)));
  const Snapshot before({t}, nullptr, &optimizer);
  expect_error([&] { optimizer.step(loss_of(outputs(3 * t))); }, "RawSine");
  before.expect_unchanged();
}

// Rows need no second derivative.
TEST(FieldFaults, ARawBackwardInAUsersOwnLossTrainsByDefault) {
  const auto t = torch::tensor({1.2, 0.4}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({t});
  double first = 0, last = 0;
  for (int k = 0; k < 60; ++k) {
    last = optimizer.step(RawSine::apply(outputs(3 * t)).square().mean()).item<double>();
    if (k == 0) first = last;
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
  }
  EXPECT_LT(last, 0.1 * first);
}

// Below the outputs and between two ops that are sound.
TEST(FieldFaults, ARawBackwardAmongSoundOpsIsRefused) {
  const auto t = torch::tensor({1.2, 0.4}, torch::kDouble).requires_grad_();
  const auto z = [&] { return RawSine::apply((3 * t).tanh()).exp(); };
  const auto zero = torch::zeros({2}, torch::kDouble);
  for (const auto& options : {Options(1).curvature(Hessian()).damping(Tikhonov(1)),
                              Options(1).curvature(GaussNewton()).damping(Tikhonov(1)),
                              Options(1).curvature(Fisher()).damping(Tikhonov(1))}) {
    NaturalGradient optimizer({t}, options);
    const Snapshot before({t}, nullptr, &optimizer);
    expect_error([&] { optimizer.step(F::mse_loss(z(), zero)); }, "RawSine");
    before.expect_unchanged();
  }
}

// ---- Terms of unequal numbers of examples. ----

TEST(FieldFaults, HessianFreeTakesInteriorAndBoundaryPoints) {
  const auto w = torch::tensor({1., -2.}, torch::kDouble).requires_grad_();
  const auto truth = torch::tensor({0.5, 3.}, torch::kDouble);
  const auto a = randn({8, 2}, 1), b = randn({3, 2}, 2);
  NaturalGradient optimizer({w}, presets::hessian_free());
  for (int k = 0; k < 20; ++k) {
    optimizer.step(
        [&] { return F::mse_loss(a.mv(w), a.mv(truth)) + F::mse_loss(b.mv(w), b.mv(truth)); });
  }
  EXPECT_LT(relative_error(w.detach(), truth), kReached);
}

}  // namespace
}  // namespace natgrad::testing::field_faults_test
