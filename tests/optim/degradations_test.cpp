#include "libtorch/degradations.h"

#include <natgrad/natgrad.h>
#include <torch/jit.h>

#include "support/oracles.h"
#include "support/warnings.h"

namespace natgrad::testing::degradations_test {
namespace {

namespace F = torch::nn::functional;

struct Degraded : ::testing::Test {
  const Tensor x = randn({16, 4}, 1), y = randn({16, 3}, 2);
  const Tensor w = randn({4, 3}, 3).requires_grad_();
  const Tensor scale = torch::ones({3}, torch::kDouble).requires_grad_();

  static NaturalGradientOptions kronecker() {
    return NaturalGradientOptions(0.1)
        .damping(Tikhonov(1e-2))
        .solver(ConjugateGradient())
        .preconditioner(KroneckerFactored());
  }
  Tensor scaled() const { return F::mse_loss(x.mm(w).tanh() * scale, y); }
};

TEST_F(Degraded, NothingIsWhereLayersCoverAll) {
  NaturalGradient optimizer({w}, kronecker());
  optimizer.step(F::mse_loss(x.mm(w), y));
  ASSERT_TRUE(optimizer.summary().layer_coverage);
  EXPECT_EQ(*optimizer.summary().layer_coverage, 1);
  EXPECT_TRUE(optimizer.summary().degradations.empty());
}

TEST_F(Degraded, CoverageIsTheShareOfNumbersInLayers) {
  NaturalGradient optimizer({w, scale}, kronecker());
  optimizer.step(scaled());
  EXPECT_EQ(*optimizer.summary().layer_coverage, 12.0 / 15);
  const auto message = optimizer.summary().message();
  EXPECT_NE(message.find("layers cover 0.8 of the parameters"), std::string::npos) << message;
  EXPECT_NE(message.find("MulBackward0"), std::string::npos) << message;
}

TEST_F(Degraded, ItIsWarnedOfOnce) {
  Warnings warnings;
  NaturalGradient optimizer({w, scale}, kronecker());
  for (int step = 0; step < 3; ++step) optimizer.step(scaled());
  ASSERT_EQ(warnings.texts.size(), 1u);
  EXPECT_NE(warnings.texts[0].find("layers cover 0.8"), std::string::npos) << warnings.texts[0];
}

TEST_F(Degraded, WithoutKroneckerFactorsNoLayerIsMissed) {
  NaturalGradient optimizer(
      {w, scale}, NaturalGradientOptions(0.1).solver(ConjugateGradient()).curvature(Fisher()));
  optimizer.step(scaled());
  EXPECT_FALSE(optimizer.summary().layer_coverage);
  EXPECT_TRUE(optimizer.summary().degradations.empty());
}

TEST_F(Degraded, AScriptedModuleLosesItsLayersWithAWord) {
  const auto unit =
      torch::jit::compile("def f(x, w, v):\n  return torch.mm(torch.tanh(torch.mm(x, w)), v)\n");
  const auto v = randn({3, 3}, 4).requires_grad_();
  NaturalGradient optimizer({w, v}, kronecker());
  for (int step = 0; step < 4; ++step) {
    optimizer.step(F::mse_loss(unit->run_method("f", x, w, v).toTensor(), y));
  }
  EXPECT_EQ(*optimizer.summary().layer_coverage, 0);
  ASSERT_EQ(optimizer.summary().degradations.size(), 1u);
  const auto& sentence = optimizer.summary().degradations[0];
  EXPECT_NE(sentence.find("DifferentiableGraphBackward"), std::string::npos) << sentence;
}

// As methods.md in docs/guide has it: the factors are of the part, and renewed at every third step
// only.
TEST_F(Degraded, TheKfacPresetSaysThatItIsADiagonalThere) {
  const auto unit =
      torch::jit::compile("def f(x, w, v):\n  return torch.mm(torch.tanh(torch.mm(x, w)), v)\n");
  const auto v = randn({3, 3}, 4).requires_grad_();
  NaturalGradient optimizer({w, v}, presets::kfac());
  for (int step = 0; step < 5; ++step) {
    const auto loss = [&](int64_t rows) {
      const auto z = unit->run_method("f", x.narrow(0, 0, rows), w, v).toTensor();
      return F::mse_loss(z, y.narrow(0, 0, rows));
    };
    optimizer.step(Batches{Batch([&] { return loss(16); }), Batch([&] { return loss(4); })});
    const auto& summary = optimizer.summary();
    const bool hides_layers = *summary.layer_coverage < 1;
    EXPECT_EQ(summary.degradations.size(), hides_layers ? 1u : 0u) << summary.message();
    if (step >= 3) {
      EXPECT_TRUE(hides_layers) << "the scripted module has been optimised by then";
      EXPECT_NE(summary.message().find("layers cover 0 of"), std::string::npos);
    }
  }
}

TEST(ListeningTest, TheInnermostHearsAndAnEmptySentenceTakesBack) {
  report_degradation(Degradation::CoupledExamples, "unheard");
  Degradations outer, inner;
  const Listening listening(outer);
  {
    const Listening within(inner);
    report_degradation(Degradation::CoupledExamples, "one by one");
    report_layer_coverage(0.5);
  }
  EXPECT_EQ(inner.list(), std::vector<std::string>{"one by one"});
  EXPECT_EQ(inner.layer_coverage, 0.5);
  EXPECT_TRUE(outer.list().empty());
  report_degradation(Degradation::CoupledExamples, "one by one");
  report_degradation(Degradation::CoupledExamples, "");
  EXPECT_TRUE(outer.list().empty());
}

}  // namespace
}  // namespace natgrad::testing::degradations_test
