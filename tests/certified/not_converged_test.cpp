// What must not be called converged.

#include <natgrad/optim/minimise.h>
#include <natgrad/optim/presets.h>

#include "certified/regression.h"
#include "support/oracles.h"

namespace natgrad::testing::not_converged_test {
namespace {

using certified::Regression;

Tensor numbers(const std::vector<double>& values) { return torch::tensor(values, torch::kDouble); }

Regression box_bod() {
  for (auto& regression : certified::nist_regressions()) {
    if (regression.name == "BoxBOD") return regression;
  }
  TORCH_CHECK(false, "there is a BoxBOD");
}

/// b₀ exp(-b₁ x) on x = 0, 1, ...: the later numbers ask for a decay that is below zero, which none
/// is, and the best is at b₁ = ∞.
Regression decay_that_ends_at_once() {
  const auto x = torch::arange(10, torch::kDouble);
  const auto y = numbers({1, -0.2, 0.1, -0.3, 0.2, -0.1, -0.2, 0.1, -0.1, -0.2});
  return {
      "decay", {numbers({1, 1})}, [=](const Tensor& b) { return b[0] * (-b[1] * x).exp() - y; }};
}

TEST(NotConvergedTest, APlateauIsFlat) {
  auto regression = box_bod();
  for (const double far : {20., 100., 400., 800.}) {
    const auto fit = certified::fit(regression, numbers({1, far}));
    EXPECT_FALSE(fit.minimum.converged) << far << ": " << fit.minimum.message();
    EXPECT_EQ(fit.minimum.reason, Stop::Flat) << far << ": " << fit.minimum.message();
  }
}

TEST(NotConvergedTest, ALossThatFellFromTheSkyIsNotMet) {
  // exp(30 · 10) squared is 1e260: the fall to any loss at all is one to 1e-28 of it.
  auto regression = box_bod();
  for (const double far : {-5., -10., -30.}) {
    const auto fit = certified::fit(regression, numbers({1, far}));
    const double digits = certified::correct_digits(fit.parameters, regression.parameters);
    EXPECT_TRUE(!fit.minimum.converged || digits > 8) << far << ": " << fit.minimum.message();
  }
}

TEST(NotConvergedTest, AParameterThatRunsToInfinityIsFlat) {
  const auto regression = decay_that_ends_at_once();
  const auto fit = certified::fit(regression, regression.starts.front());
  EXPECT_FALSE(fit.minimum.converged) << fit.minimum.message();
  EXPECT_EQ(fit.minimum.reason, Stop::Flat) << fit.minimum.message();
}

/// Logistic regression on classes that a plane separates, or on one class alone.
Minimum separable(torch::Dtype dtype, bool one_class) {
  auto x = torch::cat({torch::ones({20, 1}, torch::kDouble), randn({20, 2}, 17)}, 1);
  const auto y = one_class ? torch::ones({20}, torch::kDouble)
                           : (x.select(1, 1) > 0.1 * x.select(1, 2)).to(torch::kDouble);
  const auto b = torch::zeros({3}, dtype).requires_grad_();
  NaturalGradient optimizer({b}, presets::least_squares());
  return minimise(optimizer, [&, x = x.to(dtype), y = y.to(dtype)] {
    return torch::binary_cross_entropy_with_logits(x.mv(b), y);
  });
}

TEST(NotConvergedTest, SeparableClassesHaveNoMinimum) {
  for (const auto dtype : {torch::kDouble, torch::kFloat}) {
    for (const bool one_class : {false, true}) {
      const auto minimum = separable(dtype, one_class);
      EXPECT_FALSE(minimum.converged) << dtype << one_class << ": " << minimum.message();
    }
  }
}

TEST(NotConvergedTest, AMaximumAlongOneParameterIsASaddle) {
  // h = ((1 - 2y²)² + y² + (x - 3)²)/2 has a minimum in x and a maximum in y at y = 0.
  const Regression regression{"saddle", {numbers({0, 0})}, [](const Tensor& b) {
                                return torch::stack({1 - 2 * b[1].square(), b[1], b[0] - 3});
                              }};
  const auto fit = certified::fit(regression, regression.starts.front());
  EXPECT_FALSE(fit.minimum.converged) << fit.minimum.message();
  EXPECT_EQ(fit.minimum.reason, Stop::Saddle) << fit.minimum.message();
}

TEST(NotConvergedTest, ALossThatDoesNotDependOnAParameterIsFlat) {
  const Regression regression{"flat", {numbers({1, 1})}, [](const Tensor& b) {
                                return torch::stack({b[0] - 3, b[0] + 1, 0 * b[1] + 1});
                              }};
  const auto fit = certified::fit(regression, regression.starts.front());
  EXPECT_FALSE(fit.minimum.converged) << fit.minimum.message();
  EXPECT_EQ(fit.minimum.reason, Stop::Flat) << fit.minimum.message();
}

TEST(NotConvergedTest, WhatIsNotFiniteEndsAsThat) {
  const Regression at_once{"NaN", {numbers({-1})}, [](const Tensor& b) { return b.sqrt() - 2; }};
  const auto fit = certified::fit(at_once, at_once.starts.front());
  EXPECT_FALSE(fit.minimum.converged);
  EXPECT_EQ(fit.minimum.reason, Stop::NonFinite) << fit.minimum.message();
}

TEST(NotConvergedTest, TheEdgeOfWhereALossIsFiniteIsNoMinimum) {
  // √b + 1 is least at b = 0, where its slope is infinite, and NaN below.
  const Regression edge{"edge", {numbers({1})}, [](const Tensor& b) {
                          return torch::cat({b.sqrt() + 1, b.sqrt() + 2});
                        }};
  const auto fit = certified::fit(edge, edge.starts.front());
  EXPECT_FALSE(fit.minimum.converged) << fit.minimum.message();
}

TEST(NotConvergedTest, TooFewStepsAreTooFew) {
  const auto regression = box_bod();
  const auto fit = certified::fit(regression, regression.starts.front(), /*max_steps=*/3);
  EXPECT_FALSE(fit.minimum.converged) << fit.minimum.message();
  EXPECT_EQ(fit.minimum.reason, Stop::MaxSteps);
}

}  // namespace
}  // namespace natgrad::testing::not_converged_test
