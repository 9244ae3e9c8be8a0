#include <natgrad/solvers/conjugate_gradients.h>
#include <natgrad/solvers/kl_constrained_step.h>

#include <numbers>

#include "support/krylov.h"
#include "support/oracles.h"

namespace natgrad::testing::kl_constrained_step_test {
namespace {

constexpr double kRounding = 1e-13;

double inner_product(const Tensor& a, const Tensor& b) { return a.dot(b).item<double>(); }

// A Gaussian's mean: KL(N(μ + δ, Σ) ‖ N(μ, Σ)) = ½ δᵀΣ⁻¹δ, and F = Σ⁻¹, exactly.
TEST(KlConstrainedStepTest, OfAGaussiansMeanHasExactlyTheAskedDivergence) {
  const auto f = random_spd(8, 100, 1);
  const auto g = randn({8}, 2);
  const auto natural = torch::linalg_solve(f, g);
  for (const double c : {1e-12, 1e-3, 1.0, 1e6}) {
    const auto step = kl_constrained_step(natural, g, c);
    EXPECT_NEAR(0.5 * inner_product(step, f.mv(step)) / c, 1, kRounding);
    EXPECT_LT(inner_product(g, step), 0);
    EXPECT_LT(relative_error(step / step.norm(), -natural / natural.norm()), kRounding);
  }
}

// argmin gᵀδ subject to ½ δᵀFδ = c: no other step to that ellipsoid descends further, and its value
// is -√(2c gᵀF⁻¹g).
TEST(KlConstrainedStepTest, DescendsFurthestAmongStepsOfThatDivergence) {
  constexpr double kC = 0.3;
  const auto f = random_spd(5, 20, 1);
  const auto g = randn({5}, 2);
  const auto natural = torch::linalg_solve(f, g);
  const auto step = kl_constrained_step(natural, g, kC);
  EXPECT_NEAR(inner_product(g, step), -std::sqrt(2 * kC * inner_product(g, natural)), kRounding);
  const auto others = torch::cat({randn({1000, 5}, 3), step + 0.01 * randn({1000, 5}, 4)});
  const auto divergence = 0.5 * (others.mm(f) * others).sum(1, true);
  const auto scaled = others * (kC / divergence).sqrt();
  EXPECT_GE(scaled.mv(g).min().item<double>(), inner_product(g, step));
}

/// Three classes with logits (z₀, z₁, 0).
struct ThreeClasses {
  Tensor logits = torch::tensor({0.4, -0.7}, torch::kDouble);

  static Tensor log_p(const Tensor& z) {
    const auto zero = torch::zeros_like(z.narrow(-1, 0, 1));
    return torch::cat({z, zero}, -1).log_softmax(-1);
  }
  /// F = diag p - ppᵀ of the first two.
  Tensor fisher() const {
    const auto p = log_p(logits).narrow(-1, 0, 2).exp();
    return torch::diag(p) - torch::outer(p, p);
  }
  /// KL(p(z + δ) ‖ p(z)) for rows of δ, summed over the classes.
  Tensor divergence(const Tensor& delta) const {
    const auto moved = log_p(logits + delta);
    return (moved.exp() * (moved - log_p(logits))).sum(-1);
  }
};

double divergence_error(double c) {
  const ThreeClasses model;
  const auto g = torch::tensor({0.9, 0.2}, torch::kDouble);
  const auto step = kl_constrained_step(torch::linalg_solve(model.fisher(), g), g, c);
  return std::abs(model.divergence(step).item<double>() / c - 1);
}

// KL/c - 1 = O(√c): a tenth for each hundredth.
TEST(KlConstrainedStepTest, TheDivergenceApproachesTheAskedOneAsItsRoot) {
  constexpr double kShare = 0.02;  // of the next order of √c, at these c
  for (const double c : {1e-4, 1e-6}) {
    EXPECT_NEAR(divergence_error(c) / divergence_error(1e-2 * c), 10, 10 * kShare) << c;
  }
  EXPECT_LT(divergence_error(1e-4), 0.02);
}

/// min of gᵀδ on the curve KL = c, over angles, each radius by bisection.
double steepest_on_the_curve(const ThreeClasses& model, const Tensor& g, double c) {
  const auto angle = torch::linspace(0, 2 * std::numbers::pi, 4001, torch::kDouble);
  const auto unit = torch::stack({angle.cos(), angle.sin()}, 1);
  auto low = torch::zeros({4001, 1}, torch::kDouble), high = torch::full_like(low, 0.5);
  for (int k = 0; k < 50; ++k) {
    const auto middle = 0.5 * (low + high);
    const auto inside = (model.divergence(middle * unit) < c).unsqueeze(1);
    low = torch::where(inside, middle, low);
    high = torch::where(inside, high, middle);
  }
  return (low * unit).mv(g).min().item<double>();
}

TEST(KlConstrainedStepTest, ApproachesTheSteepestStepUnderTheDivergenceItself) {
  const ThreeClasses model;
  const auto g = torch::tensor({0.9, 0.2}, torch::kDouble);
  const auto natural = torch::linalg_solve(model.fisher(), g);
  const auto error = [&](double c) {
    return std::abs(inner_product(g, kl_constrained_step(natural, g, c)) /
                        steepest_on_the_curve(model, g, c) -
                    1);
  };
  EXPECT_NEAR(error(1e-3) / error(1e-5), 10, 2);
  EXPECT_LT(error(1e-5), 1e-2);
}

// gᵀn = nᵀFn holds of a truncated solve from 0 as well.
TEST(KlConstrainedStepTest, ATruncatedSolveKeepsTheDivergence) {
  const auto f = random_spd(20, 1e4, 1);
  const auto g = randn({20}, 2);
  for (const int64_t iterations : {1, 3, 6}) {
    const auto solver = ConjugateGradient().max_iterations(iterations).tolerance(0);
    const auto step = kl_constrained_step(solver.solve(from_dense(f), g).x, g, 0.1);
    EXPECT_NEAR(0.5 * inner_product(step, f.mv(step)), 0.1, 0.1 * 1e-10) << iterations;
  }
}

TEST(KlConstrainedStepTest, NoGradientNoDirectionOrNoDivergenceIsNoStep) {
  const auto g = randn({4}, 1), zero = torch::zeros({4}, torch::kDouble);
  EXPECT_TRUE(identical(kl_constrained_step(zero, zero, 1), zero));
  EXPECT_TRUE(identical(kl_constrained_step(zero, g, 1), zero));
  EXPECT_TRUE(identical(kl_constrained_step(g, zero, 1), zero));
  EXPECT_EQ(length(kl_constrained_step(g, g, 0)), 0);
}

// δ does not change with the size of g for given F, and goes with the root of F's.
TEST(KlConstrainedStepTest, NeitherOverflowsNorUnderflows) {
  const auto n = randn({6}, 1), g = n.abs() * n.sign() + 0.1 * n;
  const auto plain = kl_constrained_step(n, g, 0.5);
  for (const double size : {1e-200, 1e200}) {
    EXPECT_LT(relative_error(kl_constrained_step(size * n, size * g, 0.5), plain), kRounding);
  }
  constexpr double kFloat = 1e-6;
  for (const double size : {1e-30, 1e30}) {
    const auto step =
        kl_constrained_step((size * n).to(torch::kFloat), (size * g).to(torch::kFloat), 0.5);
    EXPECT_EQ(step.scalar_type(), torch::kFloat);
    EXPECT_LT(relative_error(step, plain), kFloat);
  }
  EXPECT_LT(relative_error(kl_constrained_step(1e-100 * n, 1e100 * g, 0.5), 1e-100 * plain),
            kRounding);
}

TEST(KlConstrainedStepTest, BadArgumentsThrow) {
  const auto g = randn({4}, 1);
  const double nan = std::nan("");
  for (const double bad : {-1e-9, nan, HUGE_VAL}) {
    expect_error([&] { kl_constrained_step(g, g, bad); }, "nats");
  }
  expect_error([&] { kl_constrained_step(g, randn({5}, 2), 1); }, "one length");
  expect_error([&] { kl_constrained_step(g.unsqueeze(1), g.unsqueeze(1), 1); }, "vectors");
  expect_error([&] { kl_constrained_step(g, g.to(torch::kFloat), 1); }, "dtype");
  for (const double bad : {nan, HUGE_VAL}) {
    expect_error([&] { kl_constrained_step(bad * g, g, 1); }, "not finite");
    expect_error([&] { kl_constrained_step(g, bad * g, 1); }, "not finite");
  }
  expect_error([&] { kl_constrained_step(-g, g, 1); }, "positive");
}

TEST(KlConstrainedStepTest, LeavesItsInputsAlone) {
  const auto n = randn({4}, 1), g = n + 0.1;
  const auto kept_n = n.clone(), kept_g = g.clone();
  kl_constrained_step(n, g, 1).fill_(7);
  EXPECT_TRUE(identical(n, kept_n));
  EXPECT_TRUE(identical(g, kept_g));
}

}  // namespace
}  // namespace natgrad::testing::kl_constrained_step_test
