#include <natgrad/step_control/kl_constrained.h>

#include "step_control/quadratic_descent.h"

namespace natgrad::testing::kl_constrained_test {
namespace {

constexpr double kRounding = 1e-12;
constexpr double kC = 0.3;

double divergence(const Tensor& fisher, const Tensor& step) {
  return 0.5 * step.dot(fisher.mv(step)).item<double>();
}

/// What `KLConstrained` makes of a solution x for the gradient g.
Step choose(const Tensor& x, const Tensor& g) {
  const auto matrix = from_dense(torch::eye(g.numel(), g.options()));
  const Solution solution{x, {}};
  return KLConstrained(kC).choose(
      {1, g, matrix, solution, {}, [](const Tensor& v) { return v.clone(); }, unasked_model()});
}

TEST(KLConstrainedTest, TheStepIsNaturalDescentOfTheAskedDivergence) {
  auto descent = six_parameters();
  descent.lambda = 0;
  KLConstrained rule(kC);
  const auto step = descent.choose(rule).displacement;
  EXPECT_NEAR(divergence(descent.C, step) / kC, 1, kRounding);
  const auto natural = descent.minimum - descent.theta;  // -F⁻¹g
  EXPECT_LT(relative_error(step / step.norm(), natural / natural.norm()), kRounding);
}

// cᵢ with λ: ½ δᵀ(C + λI)δ = c, of which C's part is less.
TEST(KLConstrainedTest, WithDampingTheDivergenceIsAtMostTheAskedOne) {
  double before = 0;
  for (const double lambda : {1., 1e-2, 1e-4}) {
    auto descent = six_parameters();
    descent.lambda = lambda;
    KLConstrained rule(kC);
    const auto step = descent.choose(rule).displacement;
    const double of_the_model = divergence(descent.C, step);
    EXPECT_NEAR((of_the_model + 0.5 * lambda * step.dot(step).item<double>()) / kC, 1, kRounding);
    EXPECT_GT(of_the_model, before);
    before = of_the_model;
  }
  EXPECT_NEAR(before / kC, 1, 1e-2);
}

TEST(KLConstrainedTest, HalfTheLearningRateIsAQuarterOfTheDivergence) {
  auto descent = six_parameters();
  descent.lambda = 0;
  descent.rate = 0.5;
  KLConstrained rule(kC);
  EXPECT_NEAR(divergence(descent.C, descent.choose(rule).displacement) / kC, 0.25, kRounding);
}

TEST(KLConstrainedTest, TheSizeOfTheGradientDoesNotMatter) {
  const auto g = randn({5}, 1), x = -g + 0.1 * randn({5}, 2);
  const auto step = choose(x, g).displacement;
  for (const double size : {1e-200, 1e-3, 1e200}) {
    EXPECT_LT(relative_error(choose(size * x, size * g).displacement, step), kRounding);
  }
}

TEST(KLConstrainedTest, NoGradientIsNoStep) {
  const auto zero = torch::zeros({5}, torch::kDouble);
  const auto step = choose(zero, zero);
  EXPECT_TRUE(step.found);
  EXPECT_TRUE(identical(step.displacement, zero));
}

TEST(KLConstrainedTest, WhereTheSolutionIsNoDescentNothingIsFound) {
  const auto g = randn({5}, 1), zero = torch::zeros({5}, torch::kDouble);
  for (const auto& x : {g, std::nan("") * g, HUGE_VAL * g}) {
    const auto step = choose(x, g);
    EXPECT_FALSE(step.found);
    EXPECT_TRUE(identical(step.displacement, zero));
    EXPECT_TRUE(identical(step.kept, zero));
  }
  EXPECT_FALSE(choose(zero, std::nan("") * g).found);
}

TEST(KLConstrainedTest, KeepsTheSolutionItself) {
  const auto g = randn({5}, 1);
  EXPECT_TRUE(identical(choose(-2 * g, g).kept, -2 * g));
}

}  // namespace
}  // namespace natgrad::testing::kl_constrained_test
