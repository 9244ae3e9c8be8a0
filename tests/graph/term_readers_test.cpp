#include "graph/term_readers.h"
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/csrc/autograd/variable.h>

#include "support/graph_readings.h"

// Weights and Hessians of whole losses are in loss_graph_test.cpp; here, one node at a time.

namespace natgrad::testing::term_readers_test {
namespace {

namespace F = torch::nn::functional;
using torch::autograd::impl::gradient_edge;

constexpr double kRounding = 1e-15;  // a product or two; the figures are near one

struct TermReaders : ::testing::Test {
  Tensor z = parameter({kExamples, kOutputs}, 1101);
  Tensor y = torch::rand({kExamples, kOutputs}, seeded(1102), torch::kDouble);

  static TermReading read(const Tensor& node_output, const Tensor& coefficient) {
    return read_term(*node_output.grad_fn(), coefficient);
  }
};

TEST_F(TermReaders, RecogniseLikelihoodNodesOnly) {
  EXPECT_TRUE(is_likelihood_node(*z.log_softmax(1).grad_fn()));
  EXPECT_TRUE(is_likelihood_node(*F::binary_cross_entropy_with_logits(z, y).grad_fn()));
  EXPECT_TRUE(is_likelihood_node(*F::mse_loss(z, y).grad_fn()));
  EXPECT_TRUE(is_likelihood_node(*nll(Gaussian(z), y, at::Reduction::None).grad_fn()));
  EXPECT_FALSE(is_likelihood_node(*outputs(z).grad_fn()));
  EXPECT_FALSE(is_likelihood_node(*z.softmax(1).grad_fn()));
  EXPECT_FALSE(is_likelihood_node(*z.sum().grad_fn()));
  EXPECT_FALSE(is_likelihood_node(*gradient_edge(z).function));
}

TEST_F(TermReaders, LogSoftmaxWeightsAreMinusTheRowSums) {
  const auto c = randn({kExamples, kOutputs}, 1103);
  const auto reading = read(z.log_softmax(1), c);
  EXPECT_LT(relative_error(reading.weights.expand_as(z), -c.sum(1, true).expand_as(z)), kRounding);
  EXPECT_EQ(reading.outputs, gradient_edge(z));
  EXPECT_EQ(reading.likelihood->describe().find("Categorical"), 0u);
}

TEST_F(TermReaders, LogSoftmaxIsReadAlongItsOwnDimension) {
  const auto c = randn({kExamples, kOutputs}, 1104);
  const auto v = randn({kExamples, kOutputs}, 1105);
  const auto along_rows = read(z.log_softmax(0), c);
  const auto p = z.detach().softmax(0);
  const auto expected = p * v - p * (p * v).sum(0, true);
  EXPECT_LT(relative_error(along_rows.likelihood->fisher_multiply(v), expected), 10 * kRounding);
  EXPECT_LT(relative_error(along_rows.weights.expand_as(z), -c.sum(0, true).expand_as(z)),
            kRounding);
  const auto negative = read(z.log_softmax(-1), c);
  EXPECT_LT(relative_error(negative.weights.expand_as(z), -c.sum(1, true).expand_as(z)), kRounding);
}

TEST_F(TermReaders, BinaryCrossEntropyOfEachReduction) {
  using Options = F::BinaryCrossEntropyWithLogitsFuncOptions;
  const auto c = randn({}, 1106), each = randn({kExamples, kOutputs}, 1107);
  const auto weights = [&](const Options& options, const Tensor& coefficient) {
    return read(F::binary_cross_entropy_with_logits(z, y, options), coefficient)
        .weights.expand_as(z);
  };
  EXPECT_LT(relative_error(weights(Options(), c), c.expand_as(z) / z.numel()), kRounding);
  EXPECT_LT(relative_error(weights(Options().reduction(torch::kSum), c), c.expand_as(z)),
            kRounding);
  EXPECT_LT(relative_error(weights(Options().reduction(torch::kNone), each), each), kRounding);
}

TEST_F(TermReaders, MseIsAGaussianOfVarianceOneAndTwiceTheCoefficient) {
  const auto c = randn({}, 1108);
  for (const auto& loss : {F::mse_loss(z, y), F::mse_loss(y, z)}) {
    const auto reading = read(loss, c);
    EXPECT_EQ(reading.likelihood->describe(), Gaussian(z).describe());
    EXPECT_EQ(reading.outputs, gradient_edge(z));
    EXPECT_LT(relative_error(reading.weights.expand_as(z), 2 * c.expand_as(z) / z.numel()),
              kRounding);
  }
}

TEST_F(TermReaders, OfAnUnfilledBroadcastTheEdgeIsTheExpandedOutputs) {
  // One number predicted for all: z of [1, 6] against y of [4, 6] is a legal broadcast of one side.
  const auto row = parameter({1, kOutputs}, 1109);
  const auto reading = read(F::mse_loss(row, y), torch::ones({}, torch::kDouble));
  EXPECT_EQ(reading.likelihood->outputs().sizes(), y.sizes());
}

TEST_F(TermReaders, NamedLikelihoodIsHandedThrough) {
  const auto likelihood = std::make_shared<const Gaussian>(z, 0.3);
  const auto c = randn({kExamples, kOutputs}, 1110);
  const auto reading = read(nll(likelihood, y, at::Reduction::None), c);
  EXPECT_EQ(reading.likelihood, likelihood);
  EXPECT_EQ(reading.outputs, gradient_edge(z));
  EXPECT_LT(relative_error(reading.weights.expand_as(z), c), kRounding);
}

TEST_F(TermReaders, ReadingsCarryNoGraph) {
  const auto c = randn({kExamples, kOutputs}, 1111).requires_grad_();
  const auto reading = read(z.log_softmax(1), c);
  EXPECT_FALSE(reading.weights.requires_grad());
  EXPECT_FALSE(reading.likelihood->outputs().requires_grad());
}

TEST_F(TermReaders, LossesThatBroadcastAreRefused) {
  // Without torch::nn's expand; LibTorch's own gradient of the first is 24 times too large.
  const auto one = parameter({1}, 1109), column = parameter({kExamples, 1}, 1110);
  const auto unit = torch::ones({}, torch::kDouble);
  expect_error([&] { read(at::mse_loss(one, y), unit); }, "same shape");
  expect_error([&] { read(at::huber_loss(y, column), unit); }, "same shape");
  const auto none = at::Reduction::None;
  const auto poisson = at::poisson_nll_loss(column, y.round(), true, false, 1e-8, none);
  expect_error([&] { read(poisson, torch::ones_like(y)); }, "same shape");
  expect_error([&] { read((column - y).abs(), torch::ones_like(y)); }, "same shape");
}

TEST_F(TermReaders, AScaledSubtractionIsPartOfTheOutputs) {
  const auto w = parameter({kExamples, kOutputs}, 1114);
  const LossGraph graph(torch::sub(y, w, 3).abs().sum(), {w});
  const auto expected = 9 * torch::eye(w.numel(), torch::kDouble);
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
}

TEST_F(TermReaders, ConfidentMistakesOfBinaryCrossEntropyKeepTheirCurvature) {
  for (const double logit : {-10.0, -20.0, -30.0}) {
    const auto w = torch::full({1}, logit, torch::kDouble).requires_grad_();
    const LossGraph graph(F::binary_cross_entropy(w.sigmoid(), torch::ones({1}, torch::kDouble)),
                          {w});
    const double curvature = 1 / (2 + std::exp(logit) + std::exp(-logit));
    EXPECT_NEAR(dense(gauss_newton(graph)).item<double>() / curvature, 1, 1e-12) << logit;
  }
}

TEST_F(TermReaders, BothLogSigmoidsAreReadAsOneOutput) {
  const auto c = randn({kExamples, kOutputs}, 1113);
  const auto positive = read(torch::log_sigmoid(z), c), negative = read(torch::log_sigmoid(-z), c);
  EXPECT_EQ(positive.outputs, gradient_edge(z));
  EXPECT_EQ(negative.outputs, gradient_edge(z));
  EXPECT_TRUE(identical(negative.likelihood->outputs(), z.detach()));
}

TEST_F(TermReaders, ReadableLossesNamesThemAll) {
  const auto names = readable_losses();
  for (const auto* name : {"cross_entropy", "log_softmax", "binary_cross_entropy_with_logits",
                           "mse_loss", "natgrad::nll"}) {
    EXPECT_NE(names.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace natgrad::testing::term_readers_test
