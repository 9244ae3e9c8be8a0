#include <natgrad/step_control/held_out_rate.h>

#include "support/oracles.h"
#include "support/plain_held_out_rate.h"

namespace natgrad::testing::held_out_rate_test {
namespace {

// Running means over some hundred steps, summed up in another order.
constexpr double kRounding = 1e-9;
constexpr double kMu = 0.98, kRate = 0.7, kLr = 0.2;
constexpr int64_t kSteps = 400;

/// Answers for δ, δ_prev and θ̄ - θ what was drawn, whatever they are.
struct DrawnModel final : QuadraticModel {
  const HeldOut& drawn;
  Tensor previous, memory;

  DrawnModel(const HeldOut& batch, Tensor last, Tensor average)
      : drawn(batch), previous(std::move(last)), memory(std::move(average)) {}
  double slope(const Tensor& v) const override {
    if (v.is_same(previous)) return -drawn.previous.wanted;
    return v.is_same(memory) ? -drawn.average.wanted : -drawn.descent;
  }
  double curvature(const Tensor& v) const override {
    EXPECT_TRUE(v.is_same(previous) || v.is_same(memory));
    return v.is_same(previous) ? drawn.previous.curvature : drawn.average.curvature;
  }
};

/// A rule on the way, with what it goes on from.
struct Steps {
  HeldOutRate rule = HeldOutRate();
  Tensor previous = {}, memory = {};
  double centre = kMu, rate = kRate, scale = 1;
  std::function<OutputMove(const Tensor&)> outputs = nullptr;

  Step step(HeldOut batch, const Tensor& delta) {
    for (auto* number : {&batch.previous.wanted, &batch.previous.curvature, &batch.average.wanted,
                         &batch.average.curvature, &batch.descent}) {
      *number *= scale;
    }
    const DrawnModel model(batch, previous, memory);
    const auto matrix = natgrad::diagonal_operator(torch::ones_like(delta));
    const Solution solution{delta, {}};
    const auto at_rate = [this](const Tensor& v) { return rate * kLr * v; };
    const auto step = rule.choose({scale,
                                   {},
                                   matrix,
                                   solution,
                                   previous,
                                   at_rate,
                                   model,
                                   outputs,
                                   nullptr,
                                   centre,
                                   rate,
                                   memory});
    previous = step.kept;
    memory = step.memory;
    return step;
  }
};

/// Batches of several phases: steps that agree, that noise decides, that make things worse, and
/// iterates that are better than their mean.
struct Draws {
  at::Generator generator = seeded(71);
  double uniform(double from, double to) {
    return from + (to - from) * torch::rand({}, generator, torch::kDouble).item<double>();
  }
  HeldOut next(int64_t k) {
    struct Phase {
      double wanted, average;  // shares of d that are wanted
    };
    static const Phase phases[] = {{0.9, 0.3}, {0.45, -0.4}, {0.1, 0.8}, {0.5, 0.1}};
    const auto& phase = phases[k / 50 % 4];
    HeldOut batch;
    batch.previous.curvature = uniform(0.5, 1.5);
    batch.previous.wanted = batch.previous.curvature * phase.wanted * uniform(0.5, 1.5);
    batch.average.curvature = uniform(0.05, 1);
    batch.average.wanted = batch.average.curvature * phase.average * uniform(0, 2);
    batch.descent = kMu * batch.previous.wanted + uniform(0.3, 0.9);
    return batch;
  }
};

Tensor delta_of(int64_t k) { return randn({3}, 1000 + k); }

/// The batch as the rule sees it: in its first step there is nothing to say of steps before.
HeldOut seen(HeldOut batch, bool is_first) {
  if (!is_first) return batch;
  batch.previous = batch.average = {};
  batch.has_average = false;
  return batch;
}

TEST(HeldOutRateTest, IsWhatItsHeaderSays) {
  Steps run;
  PlainHeldOutRate plain;
  Draws draws;
  Tensor average;
  for (int64_t k = 0; k < kSteps; ++k) {
    const auto batch = draws.next(k);
    const auto delta = delta_of(k);
    const auto step = run.step(batch, delta);
    const auto [alpha, kept] = plain.choose(seen(batch, k == 0), kMu);
    const auto displacement = alpha * kLr / 0.1 * delta;  // r is no part of it
    const double weight = 1 / (1 + (k + 1) / 2.5);
    average = k == 0 ? -displacement : (1 - weight) * average - displacement;
    ASSERT_LT(relative_error(step.displacement, displacement), kRounding) << k;
    ASSERT_LT(relative_error(step.kept, kept * delta), kRounding) << k;
    ASSERT_LT(relative_error(step.memory, average), kRounding) << k;
  }
  // All of it had its turn.
  EXPECT_GT(std::min({plain.shrunk, plain.grown, plain.shortened, plain.boosted}), 10);
}

TEST(HeldOutRateTest, IsNoLongerThanTheLongest) {
  Steps run{HeldOutRate().largest(0.01)};
  Draws draws;
  for (int64_t k = 0; k < 30; ++k) {
    const auto step = run.step(draws.next(k), delta_of(k)).displacement;
    EXPECT_LE(step.norm().item<double>(),
              0.01 * kLr / 0.1 * delta_of(k).norm().item<double>() * (1 + kRounding));
  }
}

// The unit of h: n, d and p are in it.
TEST(HeldOutRateTest, AHundredTimesTheLossTakesTheSameSteps) {
  Steps one, hundred;
  hundred.scale = 100;
  Draws draws;
  for (int64_t k = 0; k < kSteps; ++k) {
    const auto batch = draws.next(k);
    const auto a = one.step(batch, delta_of(k)), b = hundred.step(batch, delta_of(k));
    ASSERT_LT(relative_error(b.displacement, a.displacement), kRounding) << k;
    ASSERT_LT(relative_error(b.kept, a.kept), kRounding) << k;
  }
}

TEST(HeldOutRateTest, GoesOnFromItsStateToTheBit) {
  Steps straight;
  Draws draws;
  straight.outputs = [](const Tensor& v) { return OutputMove{2, v.square().sum().item<double>()}; };
  for (int64_t k = 0; k < 120; ++k) {
    auto continued = straight;
    continued.rule = HeldOutRate();
    continued.rule.set_state(straight.rule.state());
    const auto batch = draws.next(k);
    const auto a = straight.step(batch, delta_of(k)), b = continued.step(batch, delta_of(k));
    ASSERT_TRUE(identical(b.displacement, a.displacement)) << k;
    ASSERT_EQ(continued.rule.state(), straight.rule.state()) << k;
  }
}

TEST(HeldOutRateTest, WithoutACentreTheStepIsAtTheRate) {
  Steps run;
  run.centre = 0;
  run.outputs = [](const Tensor&) -> OutputMove { throw std::logic_error("asked for outputs"); };
  Draws draws;
  for (int64_t k = 0; k < 5; ++k) {
    const auto step = run.step(draws.next(k), delta_of(k));
    EXPECT_TRUE(identical(step.displacement, kRate * kLr * delta_of(k)));
    EXPECT_TRUE(identical(step.kept, delta_of(k)));
    EXPECT_FALSE(step.memory.defined());
  }
  EXPECT_TRUE(run.rule.state().empty());
}

}  // namespace
}  // namespace natgrad::testing::held_out_rate_test
