#include <natgrad/optim/options.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/tikhonov.h>

#include "support/oracles.h"

namespace natgrad::testing::options_test {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(OptionsTest, DefaultsAreTheProximalMethodByScoreRowsAndAHeldOutRate) {
  const NaturalGradientOptions options;
  EXPECT_EQ(options.lr(), 0.1);
  EXPECT_EQ(options.weight_decay(), 0);
  EXPECT_FALSE(options.maximize());
  EXPECT_FALSE(options.fill_grad());
  EXPECT_EQ(options.curvature().describe(), ScoreRowsOrFisher().describe());
  EXPECT_EQ(options.damping().describe(), Proximal().momentum(0.95).noise_decay(0.95).describe());
  EXPECT_EQ(options.solver().describe(),
            DualOrConjugateGradient()
                .iterative(ConjugateGradient().max_iterations(10).tolerance(1e-2))
                .describe());
  EXPECT_EQ(options.step_rule().describe(), HeldOutRate().describe());
  EXPECT_EQ(options.preconditioner(), nullptr);
  EXPECT_EQ(options.damping_matrix(), nullptr);
}

TEST(OptionsTest, ALearningRateIsKept) {
  const NaturalGradientOptions options(0.1);
  EXPECT_EQ(options.step_rule().describe(), LearningRate().describe());
  auto same_but_for_the_rule = options;
  same_but_for_the_rule.step_rule(HeldOutRate());
  EXPECT_EQ(same_but_for_the_rule.describe_system(), NaturalGradientOptions().describe_system());
  EXPECT_EQ(NaturalGradientOptions().lr(0.3).step_rule().describe(), HeldOutRate().describe());
}

TEST(OptionsTest, SharesAndCountsOutOfRangeThrow) {
  for (const double share : {-0.1, 1.1, std::nan("")}) {
    expect_error([&] { NaturalGradientOptions().warm_start(share).check(); }, "warm_start");
  }
  expect_error([] { NaturalGradientOptions().curvature_chunks(-3).check(); }, "curvature_chunks");
}

TEST(OptionsTest, PartsAreReadBackAsTheyWereGiven) {
  const auto options = NaturalGradientOptions(0.5)
                           .weight_decay(1e-3)
                           .seed(7)
                           .curvature(Fisher())
                           .solver(ConjugateGradient().max_iterations(33))
                           .damping(Tikhonov(0.25));
  EXPECT_EQ(options.lr(), 0.5);
  EXPECT_EQ(options.weight_decay(), 1e-3);
  EXPECT_EQ(options.seed(), 7u);
  EXPECT_EQ(options.curvature().describe(), Fisher().describe());
  EXPECT_EQ(options.solver().describe(), ConjugateGradient().max_iterations(33).describe());
  EXPECT_EQ(options.damping().describe(), Tikhonov(0.25).describe());
  EXPECT_EQ(options.damping().lambda(), 0.25);
}

TEST(OptionsTest, AreValues) {
  const auto original = NaturalGradientOptions(0.5).damping(Tikhonov(0.25));
  auto copy = original;
  copy.lr(2).damping(Tikhonov(3)).curvature(Fisher());
  EXPECT_EQ(original.lr(), 0.5);
  EXPECT_EQ(original.damping().lambda(), 0.25);
  EXPECT_EQ(original.curvature().describe(), ScoreRowsOrFisher().describe());
}

TEST(OptionsTest, PartsAreCopiesOfWhatWasGiven) {
  auto damping = Proximal().fixed_lambda(0.5);
  const auto options = NaturalGradientOptions().damping(damping);
  damping.fixed_lambda(9);
  EXPECT_EQ(options.damping().lambda(), 0.5);
}

TEST(OptionsTest, CloneThroughTheBaseKeepsEverything) {
  const auto options = NaturalGradientOptions(0.5).weight_decay(0.25).seed(3).damping(Tikhonov(1));
  const auto clone = static_cast<const torch::optim::OptimizerOptions&>(options).clone();
  const auto& copy = dynamic_cast<const NaturalGradientOptions&>(*clone);
  EXPECT_EQ(copy.lr(), 0.5);
  EXPECT_EQ(copy.weight_decay(), 0.25);
  EXPECT_EQ(copy.describe_system(), options.describe_system());
}

TEST(OptionsTest, SchedulersReachTheRate) {
  NaturalGradientOptions options(0.5);
  torch::optim::OptimizerOptions& base = options;
  EXPECT_EQ(base.get_lr(), 0.5);
  base.set_lr(0.125);
  EXPECT_EQ(options.lr(), 0.125);
}

TEST(OptionsTest, TheSystemIsToldApartByEachOfItsParts) {
  const NaturalGradientOptions base;
  const auto differs = [&](const NaturalGradientOptions& options) {
    return options.describe_system() != base.describe_system();
  };
  EXPECT_TRUE(differs(NaturalGradientOptions().curvature(Fisher())));
  EXPECT_TRUE(differs(NaturalGradientOptions().solver(ConjugateGradient().tolerance(1e-3))));
  EXPECT_TRUE(differs(NaturalGradientOptions().damping(Tikhonov(1))));
  EXPECT_TRUE(differs(NaturalGradientOptions().damping(Proximal().momentum(0.9))));
  EXPECT_TRUE(differs(NaturalGradientOptions().damping(Proximal().memory_doubling(100))));
  EXPECT_TRUE(differs(NaturalGradientOptions().damping(Proximal().fixed_lambda(1))));
  EXPECT_TRUE(differs(NaturalGradientOptions().seed(1)));
  EXPECT_TRUE(differs(NaturalGradientOptions().maximize(true)));
  EXPECT_TRUE(differs(NaturalGradientOptions().fill_grad(true)));
  EXPECT_TRUE(differs(NaturalGradientOptions().measure(true)));
  EXPECT_TRUE(differs(NaturalGradientOptions().step_rule(HeldOutRate().largest(0.2))));
  EXPECT_TRUE(differs(NaturalGradientOptions(0.1)));                          // LearningRate()
  EXPECT_FALSE(differs(NaturalGradientOptions().lr(0.7).weight_decay(0.1)));  // per group
  EXPECT_EQ(NaturalGradientOptions(0.7).describe_system(),
            NaturalGradientOptions(0.1).describe_system());
}

struct OutOfRange : ::testing::TestWithParam<double> {};

TEST_P(OutOfRange, ThrowsForTheRate) {
  expect_error([] { NaturalGradientOptions(GetParam()).check(); }, "lr");
}

TEST_P(OutOfRange, ThrowsForTheWeightDecay) {
  expect_error([] { NaturalGradientOptions().weight_decay(GetParam()).check(); }, "weight_decay");
}

INSTANTIATE_TEST_SUITE_P(Values, OutOfRange, ::testing::Values(-1e-3, kNaN, kInfinity, -kInfinity),
                         [](const auto& info) { return std::to_string(info.index); });

TEST(OptionsTest, InRangeIsAccepted) {
  EXPECT_NO_THROW(NaturalGradientOptions().check());
  EXPECT_NO_THROW(NaturalGradientOptions(0).weight_decay(0).check());
}

TEST(OptionsTest, PartsCheckTheirOwnRanges) {
  NaturalGradientOptions options;
  EXPECT_THROW(options.solver(ConjugateGradient().max_iterations(0)), c10::Error);
  EXPECT_THROW(options.solver(ConjugateGradient().tolerance(kNaN)), c10::Error);
  EXPECT_THROW(options.damping(Proximal().momentum(1)), c10::Error);
  EXPECT_THROW(options.damping(Proximal().fixed_lambda(-1)), c10::Error);
  EXPECT_THROW(Tikhonov{kNaN}, c10::Error);
  EXPECT_EQ(options.describe_system(), NaturalGradientOptions().describe_system());
}

}  // namespace
}  // namespace natgrad::testing::options_test
