#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/graph_readings.h"

namespace natgrad::testing::output_noise_test {
namespace {

constexpr int kDraws = 4000;

struct OutputNoise : ::testing::TestWithParam<LossCase> {};

TEST_P(OutputNoise, HasTheFisherMatrixOfTheOutputsAsCovariance) {
  const auto problem = make_problem(GetParam());
  const auto generator = seeded(31);
  Tensor sum, squares;
  for (int i = 0; i < kDraws; ++i) {
    const auto noise = output_noise(problem.graph, generator).front().flatten();
    const auto product = noise.outer(noise);
    sum = sum.defined() ? sum + product : product;
    squares = squares.defined() ? squares + product.square() : product.square();
  }
  const auto deviation = (squares / kDraws - (sum / kDraws).square()).clamp_min(0).sqrt();
  const auto expected = closed_form_fisher(problem.loss_case, problem.outputs);
  const auto allowed = 5 * deviation / std::sqrt(kDraws) + 1e-12;
  EXPECT_TRUE((sum / kDraws - expected).abs().le(allowed).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Losses, OutputNoise,
                         ::testing::Values(loss_named("CrossEntropyMean"),
                                           loss_named("NllGaussianMean")),
                         ByName());

TEST(OutputNoiseTest, OfNegativeWeightsThrows) {
  const auto z = randn({3, 2}, 1).requires_grad_();
  const LossGraph graph(-nll(Gaussian(z), torch::zeros_like(z)), {z});
  expect_error([&] { output_noise(graph, seeded(1)); }, "negative");
  // Uniform weights are 1/N, and the noise of a unit Gaussian ±√(1/N).
  const auto noise = output_noise(graph, seeded(1), FisherWeights::Uniform).front();
  EXPECT_LT(relative_error(noise.abs(), torch::full({3, 2}, std::sqrt(1. / 3), torch::kDouble)),
            1e-12);
}

}  // namespace
}  // namespace natgrad::testing::output_noise_test
