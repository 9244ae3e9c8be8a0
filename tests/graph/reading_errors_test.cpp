// What LossGraph says of losses that it cannot read: the node it met, and the way out.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/graph_readings.h"

namespace natgrad::testing {
namespace {

namespace F = torch::nn::functional;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }

/// A linear model: its graph is short, so that messages show all of it.
struct ReadingErrors : ::testing::Test {
  Tensor w = parameter({kOutputs, 3}, 801), b = parameter({kOutputs}, 802);
  Tensor z = torch::linear(randn({kExamples, 3}, 803), w, b);
  Tensor ce = F::cross_entropy(z, labels());

  LossGraph read(const Tensor& loss) const { return LossGraph(loss, {w, b}); }
};

TEST_F(ReadingErrors, LogOfSoftmaxIsNamed) {
  expect_error_naming([&] { read(F::nll_loss(z.softmax(1).log(), labels())); },
                      {"LogBackward0", "SoftmaxBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, OwnLossIsNamed) {
  expect_error_naming([&] { read((z - 1).abs().mean()); }, {"AbsBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, MessageListsTheLossesThatCanBeRead) {
  expect_error_naming(
      [&] { read((z - 1).abs().mean()); },
      {"cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "natgrad::nll"});
}

TEST_F(ReadingErrors, PenaltyPointsToWeightDecay) {
  expect_error_naming([&] { read(ce + 1e-3 * w.pow(2).sum()); }, {"PowBackward0", "weight_decay"});
}

TEST_F(ReadingErrors, OwnTermBesideAReadableOneIsNotLeftOut) {
  expect_error_naming([&] { read(ce + z.abs().mean()); }, {"AbsBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, TermBesideAMarkedLossIsNotLeftOut) {
  expect_error_naming([&] { read(outputs(z).abs().mean() + z.pow(2).mean()); },
                      {"PowBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, PathAroundAMarkIsNotLeftOut) {
  // The user's loss uses z itself beside the mark.
  expect_error([&] { read((outputs(z) * z).mean()); }, "natgrad::outputs");
}

TEST_F(ReadingErrors, ParameterAsTargetOfALossIsNotLeftOut) {
  expect_error([&] { read(F::mse_loss(z, z.detach()) + F::mse_loss(z, b.expand_as(z))); },
               "both arguments of mse_loss");
}

TEST_F(ReadingErrors, LossOfOtherParameters) {
  const auto other = parameter({kExamples, kOutputs}, 804);
  expect_error([&] { read(F::cross_entropy(other, labels())); },
               "does not depend on any parameter");
}

TEST_F(ReadingErrors, MarkedLossOfOtherParameters) {
  const auto other = parameter({kExamples, kOutputs}, 807);
  expect_error([&] { read(outputs(other).pow(2).sum()); }, "does not depend on any parameter");
}

TEST_F(ReadingErrors, DetachedLoss) {
  expect_error([&] { read(ce.detach()); }, "no graph");
}

TEST_F(ReadingErrors, VectorLoss) {
  const auto each =
      F::cross_entropy(z, labels(), F::CrossEntropyFuncOptions().reduction(torch::kNone));
  expect_error_naming([&] { read(each); }, {"[4]", "mean()"});
}

TEST_F(ReadingErrors, VectorOfOneNumberIsAccepted) {
  const auto graph = read(ce.view({1}));
  EXPECT_TRUE(identical(graph.gradient(), read(ce).gradient()));
  EXPECT_TRUE(identical(dense_loss_hessian(graph, {z}), dense_loss_hessian(read(ce), {z})));
}

TEST_F(ReadingErrors, IntegerLoss) {
  expect_error([&] { read(torch::tensor(3)); }, "real number");
}

TEST_F(ReadingErrors, ComplexLoss) {
  expect_error([&] { read(torch::complex(ce, ce)); }, "real number");
}

TEST_F(ReadingErrors, UndefinedLoss) {
  expect_error([&] { read(Tensor()); }, "undefined");
}

TEST_F(ReadingErrors, InferenceModeLoss) {
  Tensor loss;
  {
    const c10::InferenceMode inference;
    loss = F::cross_entropy(torch::linear(randn({kExamples, 3}, 1), w, b), labels());
  }
  expect_error([&] { read(loss); }, "InferenceMode");
}

TEST_F(ReadingErrors, FreedGraph) {
  ce.backward();
  expect_error_naming([&] { read(ce); }, {"backward()", "retain_graph"});
}

TEST_F(ReadingErrors, HookOnAParameter) {
  w.register_hook([](Tensor gradient) { return gradient.clamp(-1, 1); });
  expect_error_naming([&] { read(ce); }, {"parameter", "hook"});
}

TEST_F(ReadingErrors, HookOnTheOutputs) {
  z.register_hook([](Tensor gradient) { return gradient * 2; });
  expect_error_naming([&] { read(ce); }, {"AddmmBackward0", "hook"});
}

TEST_F(ReadingErrors, HookOnAHiddenLayer) {
  const auto hidden = z.tanh();
  hidden.register_hook([](Tensor gradient) { return gradient * 2; });
  const auto deep = hidden.mm(parameter({kOutputs, kOutputs}, 805));
  expect_error_naming([&] { read(F::cross_entropy(deep, labels())); }, {"TanhBackward0", "hook"});
}

TEST_F(ReadingErrors, HookOnTheLoss) {
  ce.register_hook([](Tensor gradient) { return gradient * 2; });
  expect_error_naming([&] { read(ce); }, {"NllLossBackward0", "hook"});
}

TEST_F(ReadingErrors, EmptyBatch) {
  const auto empty = torch::linear(torch::empty({0, 3}, torch::kDouble), w, b);
  const auto sum = F::CrossEntropyFuncOptions().reduction(torch::kSum);
  const auto no_labels = torch::empty({0}, torch::kLong);
  expect_error([&] { read(F::cross_entropy(empty, no_labels, sum)); }, "batch is empty");
}

TEST_F(ReadingErrors, TargetsThatRequireAGradient) {
  const auto y = torch::rand({kExamples, kOutputs}, torch::kDouble).requires_grad_();
  expect_error_naming([&] { read(F::binary_cross_entropy_with_logits(z, y)); },
                      {"binary_cross_entropy_with_logits", "detach"});
}

TEST_F(ReadingErrors, MseOfBroadcastTargets) {
  const auto column = z.narrow(1, 0, 1);   // [N, 1]
  const auto y = randn({kExamples}, 806);  // [N]
  expect_error_naming([&] { read(F::mse_loss(column, y)); }, {"mse_loss", "same shape"});
}

// "Only parameters that require a gradient may be listed."

}  // namespace
}  // namespace natgrad::testing
