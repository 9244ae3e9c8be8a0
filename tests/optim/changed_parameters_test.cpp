// What becomes of the previous step when parameters are frozen, unfrozen or added (faults, rows 39
// and 65).

#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::changed_parameters_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kSolve = 1e-10;  // CG to 1e-14, condition below 100
constexpr double kLambda = 0.5, kMomentum = 0.8, kRate = 0.3;

NaturalGradientOptions proximal() {
  return NaturalGradientOptions(kRate)
      .damping(Proximal().fixed_lambda(kLambda).momentum(kMomentum).memory_doubling(HUGE_VAL))
      .solver(tight_solver());
}

/// Least squares in two parameters, and the same steps by direct solves.
struct ChangedParameters : ::testing::Test {
  const Tensor a = randn({3}, 1).requires_grad_(), b = randn({2}, 2).requires_grad_();
  const Tensor x = randn({10, 5}, 3), y = randn({10}, 4);
  Tensor theta = flat({a, b}).detach().clone(), delta = torch::zeros({5}, torch::kDouble);

  Tensor loss() const { return F::mse_loss(x.mv(torch::cat({a, b})), y); }

  void freeze(const Tensor& parameter, bool frozen) { Tensor(parameter).requires_grad_(!frozen); }

  /// δ and θ after a step in the parameters that require a gradient; δ is zero in the others.
  void step_densely() {
    const auto part =
        flat({torch::full({3}, a.requires_grad()), torch::full({2}, b.requires_grad())})
            .nonzero()
            .squeeze(1);
    const auto j = x.index_select(1, part);
    const auto g = 2. / 10 * j.t().mv(x.mv(theta) - y);
    const auto c = 2. / 10 * j.t().mm(j) + kLambda * torch::eye(part.numel(), torch::kDouble);
    const auto solution =
        torch::linalg_solve(c, kLambda * kMomentum * delta.index_select(0, part) - g);
    delta = torch::zeros_like(delta).index_copy(0, part, solution);
    theta = theta + kRate * delta;
  }

  void expect_dense_steps(NaturalGradient& optimizer, int steps = 2) {
    for (int k = 0; k < steps; ++k) {
      step_densely();
      optimizer.step(loss());
      ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
      EXPECT_LT(relative_error(flat({a, b}), theta), kSolve) << "step " << k;
    }
  }
};

TEST_F(ChangedParameters, FreezingKeepsThePreviousStepOfTheOthers) {
  NaturalGradient optimizer({a, b}, proximal());
  expect_dense_steps(optimizer);
  freeze(a, true);
  expect_dense_steps(optimizer);
}

TEST_F(ChangedParameters, UnfrozenOnesStartFromZero) {
  freeze(a, true);
  NaturalGradient optimizer({a, b}, proximal());
  expect_dense_steps(optimizer);
  freeze(a, false);
  expect_dense_steps(optimizer);
}

TEST_F(ChangedParameters, AStepSatOutIsForgotten) {
  NaturalGradient optimizer({a, b}, proximal());
  for (const bool frozen : {false, true, false}) {
    freeze(b, frozen);
    expect_dense_steps(optimizer, 1);
  }
}

TEST_F(ChangedParameters, ChangingPlacesLeavesNothingToKeep) {
  NaturalGradient optimizer({a, b}, proximal());
  for (const bool of_a : {true, false, true}) {
    freeze(a, !of_a);
    freeze(b, of_a);
    expect_dense_steps(optimizer, 1);
  }
}

TEST_F(ChangedParameters, FreezingKeepsTheHistoryOfLambda) {
  // One draw of the noise is ‖x‖² exactly, for one output of one example and r² = 1.
  constexpr double kRounding = 1e-14;
  const auto w = randn({1, 3}, 6).requires_grad_(), v = randn({1, 1}, 7).requires_grad_();
  NaturalGradient optimizer({w, v});
  const auto step = [&](const Tensor& inputs) {
    optimizer.step(F::mse_loss(inputs.mm(w.t()) + v, torch::zeros({1, 1}, torch::kDouble)) / 2);
    return optimizer.summary().lambda;
  };
  const auto first = randn({1, 3}, 8), second = randn({1, 3}, 9);
  const double noise = first.square().sum().item<double>() + 1;
  EXPECT_NEAR(step(first), noise, kRounding * noise);
  v.requires_grad_(false);
  const double mean = 0.95 * noise + 0.05 * second.square().sum().item<double>();
  EXPECT_NEAR(step(second), mean, kRounding * mean);
}

TEST_F(ChangedParameters, AStepIsTakenBackFromThoseItMoved) {
  NaturalGradient optimizer({a, b}, proximal());
  const auto before = flat({a, b}).detach().clone();
  optimizer.step(loss());
  freeze(a, true);
  optimizer.step(loss() * std::numeric_limits<double>::infinity());
  EXPECT_TRUE(optimizer.summary().restored);
  EXPECT_TRUE(same_bits(flat({a, b}), before));
}

TEST_F(ChangedParameters, ANewGroupStartsAllFromZero) {
  for (const bool through_base : {false, true}) {
    SCOPED_TRACE(through_base);
    delta.zero_();
    freeze(b, true);  // in the oracle: not yet in the optimizer
    NaturalGradient optimizer({a}, proximal());
    expect_dense_steps(optimizer);
    freeze(b, false);
    if (through_base) {
      static_cast<torch::optim::Optimizer&>(optimizer).add_param_group({{b}});
    } else {
      optimizer.add_param_group({{b}});
    }
    delta.zero_();
    expect_dense_steps(optimizer);
  }
}

}  // namespace
}  // namespace natgrad::testing::changed_parameters_test
