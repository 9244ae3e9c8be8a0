// Attention that LibTorch computes by one op, which cannot be differentiated twice: a step with a
// closure has it computed by several.

#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>

#include "support/oracles.h"
#include "support/warnings.h"

namespace natgrad::testing::attention_test {
namespace {

namespace F = torch::nn::functional;

constexpr int64_t kSentences = 24, kLength = 5, kChannels = 6, kClasses = 3;

/// The exact matrix; by score rows nothing is differentiated twice.
NaturalGradientOptions exact() { return NaturalGradientOptions().curvature(FisherOrGaussNewton()); }

/// A classifier of sequences, and what LibTorch is told of attention, which is put back.
struct AttentionTest : ::testing::Test {
  const Tensor x = randn({kSentences, kLength, kChannels}, 1);
  const Tensor y = randn({kSentences, kClasses}, 2).argmax(1);
  Tensor qkv = (0.5 * randn({kChannels, 3 * kChannels}, 3)).requires_grad_();
  Tensor head = randn({kChannels, kClasses}, 4).requires_grad_();
  int calls = 0;

  std::vector<Tensor> parameters() const { return {qkv, head}; }
  Tensor loss() {
    ++calls;
    const auto parts = torch::matmul(x, qkv).unsqueeze(1).chunk(3, 3);
    const auto mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    return F::cross_entropy(mixed.squeeze(1).mean(1).mm(head), y);
  }
  ~AttentionTest() override { at::globalContext().setSDPUseFlash(true); }
};

TEST_F(AttentionTest, AStepWithAClosureGivesUpTheOneOpOnce) {
  Warnings warnings;
  NaturalGradient optimizer(parameters(), exact());
  constexpr int kSteps = 20;
  const double start = loss().item<double>();
  calls = 0;
  for (int k = 0; k < kSteps; ++k) optimizer.step([&] { return loss(); });
  EXPECT_EQ(calls, kSteps + 1) << "the first step calls it twice";
  EXPECT_TRUE(at::globalContext().userEnabledFlashSDP()) << "outside of the closure";
  EXPECT_EQ(warnings.count("attention is computed by several ops"), 1);
  ASSERT_EQ(optimizer.summary().degradations.size(), 1u);
  EXPECT_LT(loss().item<double>(), start / 2);
}

TEST_F(AttentionTest, TheStepIsThatOfTheSeveralOps) {
  NaturalGradient optimizer(parameters(), exact());
  optimizer.step([&] { return loss(); });
  const auto by_itself = std::vector<Tensor>{qkv.detach().clone(), head.detach().clone()};
  qkv = (0.5 * randn({kChannels, 3 * kChannels}, 3)).requires_grad_();
  head = randn({kChannels, kClasses}, 4).requires_grad_();
  at::globalContext().setSDPUseFlash(false);
  NaturalGradient told(parameters(), exact());
  told.step(loss());
  EXPECT_TRUE(identical(qkv.detach(), by_itself[0]));
  EXPECT_TRUE(identical(head.detach(), by_itself[1]));
  EXPECT_TRUE(told.summary().degradations.empty());
}

TEST_F(AttentionTest, AStepOnALossNamesTheCall) {
  NaturalGradient optimizer(parameters(), exact());
  expect_error([&] { optimizer.step(loss()); }, "at::globalContext().setSDPUseFlash(false)");
}

TEST_F(AttentionTest, WhereNothingIsDifferentiatedTwiceTheOneOpStays) {
  NaturalGradient optimizer(parameters());
  optimizer.step([&] { return loss(); });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(optimizer.summary().curvature, "score rows");
  EXPECT_TRUE(optimizer.summary().degradations.empty());
}

TEST_F(AttentionTest, TheClosuresOfAllBatchesAreCalledSo) {
  NaturalGradient optimizer(parameters(), presets::hessian_free());
  const Batch batch(2, [&](int64_t) { return loss(); });
  for (int k = 0; k < 2; ++k) optimizer.step(Batches{batch, batch, batch});
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
}

// What throws for another reason is not called again. From 2.14 on LibTorch has cdist's second
// derivative.
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 14
TEST_F(AttentionTest, AnotherOpIsNoReasonToTryAgain) {
  NaturalGradient optimizer({qkv}, exact());
  const auto by_distances = [&] {
    ++calls;
    const auto z = torch::matmul(x, qkv).flatten(1);
    return F::cross_entropy(-torch::cdist(z, z.detach().narrow(0, 0, kClasses) + 1), y);
  };
  expect_error([&] { optimizer.step(by_distances); }, "write (a.unsqueeze(1)");
  EXPECT_EQ(calls, 1);
}
#endif

}  // namespace
}  // namespace natgrad::testing::attention_test
