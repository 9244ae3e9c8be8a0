// What LossGraph says of losses that it cannot read: the node it met, and the way out.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/graph_readings.h"

namespace natgrad::testing::reading_errors_test {
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

/// What is said of a loss that natgrad cannot read.
struct UnreadLoss {
  std::string name;
  std::function<Tensor(const Tensor& z)> loss;
  std::vector<std::string> needles;
};

std::ostream& operator<<(std::ostream& out, const UnreadLoss& unread) { return out << unread.name; }

struct UnreadLosses : ReadingErrors, ::testing::WithParamInterface<UnreadLoss> {};

TEST_P(UnreadLosses, AreRefusedWithTheWayOut) {
  for (const auto& needle : GetParam().needles) {
    expect_error([&] { read(GetParam().loss(z)); }, needle);
  }
}

Tensor targets() { return torch::rand({kExamples, kOutputs}, seeded(808), torch::kDouble); }
Tensor signs() { return 2 * targets().round() - 1; }
Tensor entropy(const Tensor& p) { return -(p * p.log()).sum(1).mean(); }

const std::vector<UnreadLoss> kUnread = {
    {"OwnLoss",
     [](auto& z) { return z.cosh().log().mean(); },
     {"LogBackward0 -> CoshBackward0 -> Addmm", "cross_entropy", "mse_loss", "natgrad::nll",
      "natgrad::outputs(model"}},
    {"ClampedSoftmax",
     [](auto& z) { return F::nll_loss(z.softmax(1).clamp_min(1e-8).log(), labels()); },
     {"LogBackward0 -> ClampMinBackward0 -> SoftmaxBackward0", "cross_entropy on the logits"}},
    {"SoftmaxPlusEpsilon",
     [](auto& z) { return F::nll_loss((z.softmax(1) + 1e-8).log(), labels()); },
     {"-> SoftmaxBackward0", "no epsilon"}},
    {"ClampedSigmoid",
     [](auto& z) { return F::binary_cross_entropy(z.sigmoid().clamp(1e-6, 1 - 1e-6), targets()); },
     {"BinaryCrossEntropyBackward0", "binary_cross_entropy_with_logits"}},
    {"BinaryCrossEntropyOfSoftmax",
     [](auto& z) { return F::binary_cross_entropy(z.softmax(1), targets()); },
     {"BinaryCrossEntropyBackward0 -> SoftmaxBackward0", "torch::sigmoid"}},
    {"SoftplusWithBeta",
     [](auto& z) { return torch::softplus(z, 2).mean(); },
     {"SoftplusBackward0", "torch::softplus(beta * z) / beta"}},
    {"SoftplusOfASpread",
     [](auto& z) { return (1 / torch::softplus(z) + torch::softplus(z).log()).mean(); },
     {"SoftplusBackward0", "natgrad::LogStdGaussian", "sigma.log()"}},
    {"BinaryFocal",
     [](auto& z) {
       const auto each = torch::binary_cross_entropy_with_logits(z, targets(), {}, {}, 0);
       return ((1 - torch::exp(-each)).pow(2) * each).mean();
     },
     {"not linear", "natgrad::outputs(natgrad::Bernoulli(z))"}},
    {"ClippedRatio",
     [](auto& z) {
       const auto ratio = torch::exp(-0.5 * (z - targets()).pow(2));
       return -(ratio * (targets() - 0.5)).mean();
     },
     {"natgrad::LogStdGaussian", "natgrad::Gaussian"}},
    {"LargeEpsilonOfASigmoid",
     [](auto& z) { return -(targets() * (z.sigmoid() + 0.1).log()).mean(); },
     {"LogBackward0 -> AddBackward1 -> SigmoidBackward0", "binary_cross_entropy_with_logits"}},
    {"EntropyBonus",
     [](auto& z) { return F::cross_entropy(z, labels()) - 0.01 * entropy(z.softmax(1)); },
     {"SoftmaxBackward0", "entropy", "natgrad::outputs"}},
    {"EntropyBonusOfLogSoftmax",
     [](auto& z) {
       const auto log_p = z.log_softmax(1);
       return F::nll_loss(log_p, labels()) + 0.01 * (log_p.exp() * log_p).sum(1).mean();
     },
     {"not linear", "LogSoftmaxBackward0", "natgrad::outputs"}},
    {"MixtureOfGaussians",
     [](auto& z) {
       const auto weights = z.narrow(1, 0, 3).log_softmax(1);
       return -(weights - (z.narrow(1, 3, 3) - 1).pow(2)).logsumexp(1).mean();
     },
     {"natgrad::outputs"}},
    {"SoftMargin",
     [](auto& z) { return F::soft_margin_loss(z, signs()); },
     {"soft_margin_loss", "binary_cross_entropy_with_logits", "natgrad::Bernoulli"}},
    {"MultiMargin",
     [](auto& z) { return F::multi_margin_loss(z, labels()); },
     {"multi_margin_loss", "natgrad::outputs(natgrad::Categorical(z))"}},
    {"MultilabelMargin",
     [](auto& z) {
       return F::multilabel_margin_loss(z, torch::tensor({{0, -1, 0, 0, 0, 0}}).expand({4, 6}));
     },
     {"multilabel_margin_loss", "multilabel_soft_margin_loss"}},
    {"Ctc",
     [](auto& z) {
       const auto log_p = z.log_softmax(1).view({kExamples, 1, kOutputs});
       return F::ctc_loss(log_p, torch::tensor({{1, 2}}), torch::tensor({kExamples}),
                          torch::tensor({2}));
     },
     {"ctc_loss", "Unread::Substitute"}},
    {"HingeEmbedding",
     [](auto& z) { return F::hinge_embedding_loss(z, signs()); },
     {"natgrad::outputs"}},
    {"CosineEmbedding",
     [](auto& z) { return F::cosine_embedding_loss(z, targets(), signs().select(1, 0)); },
     {"not linear"}},
    {"MarginRanking",
     [](auto& z) {
       return F::margin_ranking_loss(z.select(1, 0), z.select(1, 1), signs().select(1, 0));
     },
     {"ClampMinBackward0", "natgrad::outputs"}},
    {"TripletMargin",
     [](auto& z) { return F::triplet_margin_loss(z, targets(), signs()); },
     {"NormBackward", "Unread::Substitute"}},
    {"PoissonOfRates",
     [](auto& z) {
       const auto options = F::PoissonNLLLossFuncOptions().log_input(false);
       return F::poisson_nll_loss(z.exp(), targets().round(), options);
     },
     {"natgrad::nll(natgrad::Poisson(z), y)"}},
};

INSTANTIATE_TEST_SUITE_P(Losses, UnreadLosses, ::testing::ValuesIn(kUnread), ByName());

TEST_F(ReadingErrors, OwnTermBesideAReadableOneIsNotLeftOut) {
  expect_error_naming([&] { read(ce + z.sinh().mean()); }, {"SinhBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, TermBesideAMarkedLossIsNotLeftOut) {
  expect_error_naming([&] { read(outputs(z).abs().mean() + z.sinh().mean()); },
                      {"SinhBackward0", "natgrad::outputs"});
}

TEST_F(ReadingErrors, PathAroundAMarkIsNotLeftOut) {
  // The user's loss uses z itself beside the mark.
  expect_error([&] { read((outputs(z) * z).mean()); }, "natgrad::outputs");
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

TEST_F(ReadingErrors, APathEndsWithTheNetworksLastLayer) {
  const auto deep = z.softmax(1).mm(parameter({kOutputs, kOutputs}, 807)).relu();
  expect_error_naming(
      [&] {
        LossGraph(deep.sinh().mean(), {w, b});
      },
      {"SinhBackward0 -> ReluBackward0 -> MmBackward0 -> ... past"});
}

TEST_F(ReadingErrors, MseOfBroadcastTargets) {
  const auto column = z.narrow(1, 0, 1);   // [N, 1]
  const auto y = randn({kExamples}, 806);  // [N]
  expect_error_naming([&] { read(F::mse_loss(column, y)); },
                      {"mse_loss", "[4, 1] and [4]", "same shape"});
  expect_error_naming([&] { read(F::mse_loss(y, column)); }, {"[4] and [4, 1]"});
}

}  // namespace
}  // namespace natgrad::testing::reading_errors_test
