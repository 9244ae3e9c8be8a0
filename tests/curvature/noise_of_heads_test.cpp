#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>

#include "support/oracles.h"

namespace natgrad::testing::noise_of_heads_test {
namespace {

namespace F = torch::nn::functional;

// λ must not depend on how a loss is written: joined or head by head, batched or not.
struct NoiseOfHeads : ::testing::Test {
  static constexpr int64_t kExamples = 10, kHeads = 4;
  static constexpr int kDraws = 4000;
  // The draws' mean has a standard deviation of about 1.4/√4000 = 2%: five of them.
  static constexpr double kConfidence = 0.11;

  const Tensor x = randn({kExamples, 3}, 1), w = randn({3, kHeads}, 2).requires_grad_();
  const Tensor y = (randn({kExamples, kHeads}, 3) > 0).to(torch::kDouble);

  /// The mean of many draws over tr(G)/N.
  double relative_noise(const Tensor& loss, int64_t examples) const {
    const LossGraph graph(loss, {w});
    double sum = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      sum += gradient_noise(graph, make_generator(7, draw)).item<double>();
    }
    const double trace = dense(gauss_newton(graph)).trace().item<double>();
    return sum / kDraws / (trace / static_cast<double>(examples));
  }
};

TEST_F(NoiseOfHeads, OfOneLossOverAllOutputsIsTheTraceOverTheExamples) {
  const auto loss = kHeads * F::binary_cross_entropy_with_logits(x.mm(w), y);
  EXPECT_NEAR(relative_noise(loss, kExamples), 1, kConfidence);
}

TEST_F(NoiseOfHeads, OfALossForEachHeadIsTheSame) {
  const auto z = x.mm(w);
  auto loss = torch::zeros({}, torch::kDouble);
  for (int64_t k = 0; k < kHeads; ++k) {
    loss = loss + F::binary_cross_entropy_with_logits(z.select(1, k), y.select(1, k));
  }
  EXPECT_NEAR(relative_noise(loss, kExamples), 1, kConfidence);
}

TEST_F(NoiseOfHeads, OfOneExampleWithoutABatchDimensionCountsOneExample) {
  const auto logits = x.select(0, 0).unsqueeze(0).mm(w).squeeze(0);
  const auto loss = F::cross_entropy(logits, torch::tensor(2));
  EXPECT_NEAR(relative_noise(loss, 1), 1, kConfidence);
}

}  // namespace
}  // namespace natgrad::testing::noise_of_heads_test
