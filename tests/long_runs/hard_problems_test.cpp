// Problems that no step size is right for end with a reason and finite parameters.

#include <gtest/gtest.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include <set>

#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"

namespace natgrad::testing::hard_problems_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kSteps = 100;
// Rounding of a loss that is no lower than its start.
constexpr double kNoHigher = 1e-6;

struct Problem {
  std::string name;
  std::vector<Tensor> parameters;
  std::function<Tensor()> loss;
};

Problem least_squares(const std::string& name, const Tensor& A, torch::ScalarType dtype) {
  auto w = torch::zeros({A.size(1)}, dtype).requires_grad_();
  const auto y = A.sum(1).to(dtype) + 0.1;
  return {name, {w}, [=, A = A.to(dtype)] { return F::mse_loss(A.mv(w), y); }};
}

/// Singular values from 1 to 1e-16.
Problem ill_conditioned(torch::ScalarType dtype) {
  const auto A = random_orthogonal(8, 1) * geometric_spectrum(8, 1e16);
  return least_squares(dtype == torch::kFloat ? "ill_conditioned_float" : "ill_conditioned",
                       A.mm(random_orthogonal(8, 2)), dtype);
}

Problem classifier(const std::string& name, double scale, double start, torch::ScalarType dtype) {
  const auto x = (scale * randn({12, 3}, 3)).to(dtype);
  const auto y = (x.select(1, 0) > 0).to(torch::kLong);
  auto W = (start * randn({2, 3}, 4)).to(dtype).requires_grad_();
  return {name, {W}, [=] { return F::cross_entropy(x.mm(W.t()), y); }};
}

/// Units that tell nothing: every ReLU is off, and a column of the input is zero.
Problem degenerate() {
  auto W = randn({3, 2}, 5).abs().neg().requires_grad_(), V = randn({2, 3}, 6).requires_grad_();
  const auto x =
      torch::stack({torch::ones({6}, torch::kDouble), torch::zeros({6}, torch::kDouble)}, 1);
  const auto y = torch::tensor({0, 1, 0, 1, 0, 1});
  return {"degenerate", {W, V}, [=] { return F::cross_entropy(x.mm(W.t()).relu().mm(V.t()), y); }};
}

/// Twice the same feature, and a parameter that nothing depends on.
Problem collinear() {
  const auto x = randn({10, 1}, 7).repeat({1, 3});
  auto w = randn({3}, 8).requires_grad_(), unused = randn({2}, 9).requires_grad_();
  return {"collinear", {w, unused}, [=] {
            return F::binary_cross_entropy_with_logits(x.mv(w), (x.select(1, 0) > 0.3).to(x));
          }};
}

/// All examples alike but for their labels, which contradict one another.
Problem contradictory() {
  auto b = torch::full({1}, 50., torch::kDouble).requires_grad_();
  const auto y = torch::tensor({0., 1., 0., 0.}, torch::kDouble);
  return {
      "contradictory", {b}, [=] { return F::binary_cross_entropy_with_logits(b.expand({4}), y); }};
}

std::vector<Problem> problems() {
  return {ill_conditioned(torch::kDouble),
          ill_conditioned(torch::kFloat),
          classifier("separable", 1, 0, torch::kDouble),
          classifier("separable_float", 1, 0, torch::kFloat),
          classifier("saturated", 100, 20, torch::kDouble),
          classifier("saturated_float", 100, 20, torch::kFloat),
          degenerate(),
          collinear(),
          contradictory()};
}

struct HardProblems : ::testing::TestWithParam<fuzz::NamedOptions> {};

TEST_P(HardProblems, EndWithAReasonAndFiniteParameters) {
  const fuzz::Quiet quiet;
  for (const auto& problem : problems()) {
    SCOPED_TRACE(problem.name);
    NaturalGradient optimizer(problem.parameters, GetParam().options);
    const auto start = problem.loss().item<double>();
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_NO_THROW(optimizer.step(problem.loss)) << "step " << step;
      for (const auto& p : problem.parameters) ASSERT_TRUE(all_finite(p)) << "step " << step;
      const auto& summary = optimizer.summary();
      ASSERT_NE(summary.outcome, StepOutcome::NonFiniteLoss) << "step " << step;
      ASSERT_NE(summary.outcome, StepOutcome::NonFiniteGradient) << "step " << step;
      // A step that was not taken says why.
      if (summary.outcome != StepOutcome::Accepted) {
        EXPECT_GT(summary.message().size(), 20u);
      }
    }
    const auto end = problem.loss().item<double>();
    EXPECT_TRUE(std::isfinite(end));
    if (GetParam().name == "natural_gradient") continue;  // undamped: nothing holds it back
    EXPECT_LE(end, (1 + kNoHigher) * start) << optimizer.summary().message();
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, HardProblems, ::testing::ValuesIn(fuzz::all_presets()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::hard_problems_test
