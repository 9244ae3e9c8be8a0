#include <ATen/autocast_mode.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/poisson.h>

#include <algorithm>
#include <initializer_list>

#include "support/dense_oracles.h"
#include "support/example_networks.h"
#include "support/graph_readings.h"
#include "support/opaque_ops.h"

namespace natgrad::testing::per_example_gradients_test {
namespace {

namespace F = torch::nn::functional;

// Sums of a few hundred products, in another order than the engine's.
constexpr double kRounding = 1e-12;

Tensor labels() { return torch::tensor({2, 0, 1, 1, 0}); }
Tensor class_weights() { return torch::tensor({0.5, 2.0, 1.25}, torch::kDouble); }
Tensor reals() { return randn({kBatch, kClasses}, 2001); }
Tensor counts() { return torch::floor(3 * reals().exp()); }

/// A loss of the batch, and the share of one example in it, from its own outputs [1, kClasses].
struct SharedLoss {
  std::string name;
  std::function<Tensor(const Tensor& z)> of_batch;
  std::function<Tensor(const Tensor& z, int64_t example)> share;
};

Tensor log_p(const Tensor& z, int64_t i) {
  return (z - z.exp().sum().log())[0][labels()[i].item<int64_t>()];
}

Tensor rewards(const Tensor& z) {  // no likelihood
  return -(z.softmax(1) * reals()).sum(1).mean();
}

SharedLoss cross_entropy_mean() {
  return {"CrossEntropyMean", [](auto& z) { return F::cross_entropy(z, labels()); },
          [](auto& z, int64_t i) { return -log_p(z, i) / kBatch; }};
}

std::vector<SharedLoss> shared_losses() {
  using CrossEntropy = F::CrossEntropyFuncOptions;
  return {
      cross_entropy_mean(),
      {"CrossEntropySum",
       [](auto& z) { return F::cross_entropy(z, labels(), CrossEntropy().reduction(torch::kSum)); },
       [](auto& z, int64_t i) { return -log_p(z, i); }},
      {"CrossEntropyWeighted",
       [](auto& z) {
         return F::cross_entropy(z, labels(), CrossEntropy().weight(class_weights()));
       },
       [](auto& z, int64_t i) {
         const auto w = class_weights().index_select(0, labels());
         return -log_p(z, i) * w[i] / w.sum();
       }},
      {"MseMean", [](auto& z) { return F::mse_loss(z, reals()); },
       [](auto& z, int64_t i) { return (z[0] - reals()[i]).pow(2).sum() / (kBatch * kClasses); }},
      {"NllPoisson", [](auto& z) { return nll(Poisson(z), counts()); },
       [](auto& z, int64_t i) { return (z[0].exp() - counts()[i] * z[0]).sum() / kBatch; }},
      {"OwnLoss", [](auto& z) { return rewards(outputs(z)); },
       [](auto& z, int64_t i) { return -(z.softmax(1)[0] * reals()[i]).sum() / kBatch; }},
      {"TwoTerms",
       [](auto& z) { return F::cross_entropy(z, labels()) + 3 * F::mse_loss(z.sin(), reals()); },
       [](auto& z, int64_t i) {
         return -log_p(z, i) / kBatch +
                3 * (z[0].sin() - reals()[i]).pow(2).sum() / (kBatch * kClasses);
       }},
  };
}

/// Each example's gradient from a forward pass of its own.
Tensor one_by_one(const ExampleNetwork& network, const SharedLoss& loss) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto z = network.forward(network.x.narrow(0, i, 1));
    rows.push_back(gradient_of(loss.share(z, i), network.parameters));
  }
  return torch::stack(rows);
}

struct PerExampleCase {
  std::string name;
  ExampleNetworkCase network;
  SharedLoss loss;
};

std::ostream& operator<<(std::ostream& out, const PerExampleCase& c) { return out << c.name; }

/// All losses on two networks, and all networks under one loss.
std::vector<PerExampleCase> cases() {
  std::vector<PerExampleCase> all;
  for (const auto& network : example_networks()) {
    for (const auto& loss : shared_losses()) {
      const bool every_loss = network.name == "ImageClassifier" || network.name == "WeightNorm";
      if (!every_loss && loss.name != "CrossEntropyMean") continue;
      all.push_back({network.name + "Under" + loss.name, network, loss});
    }
  }
  return all;
}

struct PerExample : ::testing::TestWithParam<PerExampleCase> {
  ExampleNetwork network = GetParam().network.make();
  Tensor loss = GetParam().loss.of_batch(network.forward(network.x));
  LossGraph graph = LossGraph(loss, network.parameters);
};

TEST_P(PerExample, RowsAreTheGradientsOfSeparateForwardPasses) {
  const auto expected = one_by_one(network, GetParam().loss);
  EXPECT_LT(relative_error(per_example_gradients(graph), expected), kRounding);
}

TEST_P(PerExample, RowsAddUpToTheGradient) {
  EXPECT_LT(relative_error(per_example_gradients(graph).sum(0), graph.gradient()), kRounding);
}

TEST_P(PerExample, TakesLayersByCapture) {
  EXPECT_EQ(captured_parameters(graph), GetParam().network.captured);
}

TEST_P(PerExample, LeavesGraphAndGradToTheUser) {
  const auto first = per_example_gradients(graph);
  EXPECT_FALSE(network.parameters[0].grad().defined());
  EXPECT_FALSE(first.requires_grad());
  EXPECT_TRUE(identical(per_example_gradients(graph), first));
  EXPECT_NO_THROW(loss.backward());
}

INSTANTIATE_TEST_SUITE_P(Cases, PerExample, ::testing::ValuesIn(cases()), ByName());

// ---- A loss that cannot be read. ----

struct GradientsOfUnreadLosses : ::testing::TestWithParam<ExampleNetworkCase> {
  ExampleNetwork network = GetParam().make();
  Tensor z = network.forward(network.x);
};

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST_P(GradientsOfUnreadLosses, NeedNoMarkWhereLayersAccountForAllParameters) {
  const auto& name = GetParam().name;
  const LossGraph graph(rewards(z), network.parameters, make_generator(0), Terms::WhenAsked);
  EXPECT_FALSE(graph.is_readable());
  // Rows of one step beside those of all.
  if (is_one_of(name, {"Lstm", "GruBatchFirst", "TokenBeforeBatch"})) {
    return expect_error_naming([&] { per_example_gradients(graph); }, {"natgrad::outputs"});
  }
  const auto rows = per_example_gradients(graph);
  EXPECT_LT(relative_error(rows.sum(0), graph.gradient()), kRounding);
  // Where the layers' dimension 0 holds other things than examples, so do the rows.
  if (is_one_of(name, {"FlattenedSequences", "TimeBeforeBatch", "PositionsBeforeBatch",
                       "ConvolutionOfFrames"})) {
    return;
  }
  const LossGraph marked(rewards(outputs(z)), network.parameters);
  EXPECT_LT(relative_error(rows, per_example_gradients(marked)), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Networks, GradientsOfUnreadLosses,
                         ::testing::ValuesIn(networks_of_layers()), ByName());

Tensor unread_gradients(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return per_example_gradients(LossGraph(loss, parameters, make_generator(0), Terms::WhenAsked));
}

TEST(PerExampleGradientsTest, ParametersOfOtherOpsNeedAReadableLoss) {
  const auto w = parameter({kClasses, 4}, 1), gate = parameter({4}, 2);
  const auto loss = rewards(torch::linear(randn({kBatch, 4}, 3) * gate, w));
  expect_error_naming(
      [&] {
        unread_gradients(loss, {w, gate});
      },
      {"parameter 1 of shape [4]", "natgrad::outputs"});
}

TEST(PerExampleGradientsTest, AnUnreadLossOfLayersThatMixExamplesIsRefused) {
  const auto w = parameter({4, 4}, 1), v = parameter({kClasses, 4}, 2);
  const auto h = torch::linear(randn({kBatch, 4}, 3), w);
  const auto loss = rewards(torch::linear((h - h.mean(0)).tanh(), v));
  expect_error_naming([&] { unread_gradients(loss, {w, v}); }, {"parameter 0", "natgrad::outputs"});
}

TEST(PerExampleGradientsTest, AnUnreadLossWithoutLayersIsRefused) {
  const auto table = parameter({kBatch, kClasses}, 1);
  expect_error_naming([&] { unread_gradients(rewards(table), {table}); },
                      {"no linear or convolutional layer", "natgrad::outputs"});
}

// ---- Coupled examples. ----

struct BatchNorm : ::testing::Test {
  const Tensor w = parameter({4, 4}, 1), v = parameter({kClasses, 4}, 2);
  const Tensor mean = torch::zeros({4}, torch::kDouble),
               variance = torch::ones({4}, torch::kDouble);
  Tensor loss(int64_t examples, bool training) {
    const auto s = torch::linear(randn({examples, 4}, 3), w);
    const auto h = torch::batch_norm(s, {}, {}, mean, variance, training, 0.1, 1e-5, false);
    return F::mse_loss(torch::linear(h.tanh(), v), randn({examples, kClasses}, 4));
  }
};

TEST_F(BatchNorm, InTrainingIsRefusedWithTheWayOut) {
  const auto graph = LossGraph(loss(kBatch, true), {w, v});
  for (const auto* needle : {"couples the examples", "a batch of 5", "eval()", "GroupNorm"}) {
    expect_error([&] { per_example_gradients(graph); }, needle);
    expect_error([&] { captured_parameters(graph); }, needle);
  }
}

TEST_F(BatchNorm, InTrainingIsRefusedUnderAnUnreadLoss) {
  const auto h =
      torch::batch_norm(randn({kBatch, 4}, 3).mm(w), {}, {}, {}, {}, true, 0.1, 1e-5, false);
  expect_error(
      [&] {
        unread_gradients(rewards(torch::linear(h, v)), {w, v});
      },
      "couples the examples");
}

TEST_F(BatchNorm, OfConvolutionsIsRefused) {
  const auto k = parameter({3, 1, 2, 2}, 5);
  const auto h = torch::batch_norm(torch::conv2d(randn({kBatch, 1, 3, 3}, 6), k), {}, {}, {}, {},
                                   true, 0.1, 1e-5, false);
  const auto loss = F::cross_entropy(h.mean({2, 3}), labels());
  expect_error([&] { per_example_gradients(LossGraph(loss, {k})); }, "couples the examples");
}

TEST_F(BatchNorm, InEvaluationIsNone) {
  EXPECT_NO_THROW(per_example_gradients(LossGraph(loss(kBatch, false), {w, v})));
}

TEST(PerExampleGradientsTest, OtherwiseCoupledExamplesShareTheirLossesGradient) {
  const auto w = parameter({4, 4}, 1), v = parameter({kClasses, 4}, 2);
  const auto h = torch::linear(randn({kBatch, 4}, 3), w);
  const auto z = torch::linear((h - h.mean(0)).tanh(), v);
  const LossGraph graph(F::mse_loss(z, reals()), {w, v});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kBatch; ++i) {
    rows.push_back(gradient_of((z[i] - reals()[i]).pow(2).sum() / (kBatch * kClasses), {w, v}));
  }
  EXPECT_LT(relative_error(per_example_gradients(graph), torch::stack(rows)), kRounding);
  EXPECT_EQ(captured_parameters(graph), (std::vector<bool>{false, true}));
}

// ---- Several outputs, penalties, batches. ----

TEST(PerExampleGradientsTest, HeadsAddUp) {
  const auto x = randn({kBatch, 4}, 1);
  const auto w = parameter({6, 4}, 2), a = parameter({kClasses, 6}, 3), b = parameter({2, 6}, 4);
  const auto y = randn({kBatch, 2}, 5);
  const auto heads = [&](const Tensor& input) {
    const auto h = torch::linear(input, w).tanh();
    return std::pair(torch::linear(h, a), torch::linear(h, b));
  };
  const auto [z1, z2] = heads(x);
  const LossGraph graph(F::cross_entropy(z1, labels()) + F::mse_loss(z2, y), {w, a, b});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto [first, second] = heads(x.narrow(0, i, 1));
    const auto share = -log_p(first, i) / kBatch + (second[0] - y[i]).pow(2).sum() / (2 * kBatch);
    rows.push_back(gradient_of(share, {w, a, b}));
  }
  EXPECT_LT(relative_error(per_example_gradients(graph), torch::stack(rows)), kRounding);
}

TEST(PerExampleGradientsTest, AHeadMayFeedAnother) {
  const auto x = randn({kBatch, 4}, 1);
  const auto w = parameter({kClasses, 4}, 2), a = parameter({kClasses, kClasses}, 3);
  const auto lower = torch::linear(x, w), upper = torch::linear(lower.tanh(), a);
  const LossGraph graph(F::cross_entropy(upper, labels()) + F::mse_loss(lower, reals()), {w, a});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto z = torch::linear(x.narrow(0, i, 1), w);
    const auto share = -log_p(torch::linear(z.tanh(), a), i) / kBatch +
                       (z[0] - reals()[i]).pow(2).sum() / (kBatch * kClasses);
    rows.push_back(gradient_of(share, {w, a}));
  }
  EXPECT_LT(relative_error(per_example_gradients(graph), torch::stack(rows)), kRounding);
  EXPECT_EQ(captured_parameters(graph), (std::vector<bool>{true, true}));
}

TEST(PerExampleGradientsTest, ADifferenceOfTwoNetworksIsOneOutput) {
  const auto x = randn({kBatch, 4}, 1), w = parameter({kClasses, 4}, 2);
  const auto apart = [&](const Tensor& input) {
    return std::pair(torch::linear(input, w).tanh(), torch::linear(input.cos(), w));
  };
  const auto [left, right] = apart(x);
  const LossGraph graph(F::mse_loss(left, right), {w});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kBatch; ++i) {
    const auto [a, b] = apart(x.narrow(0, i, 1));
    rows.push_back(gradient_of((a - b).pow(2).sum() / (kBatch * kClasses), {w}));
  }
  EXPECT_LT(relative_error(per_example_gradients(graph), torch::stack(rows)), kRounding);
  EXPECT_EQ(captured_parameters(graph), std::vector<bool>{true});
}

TEST(PerExampleGradientsTest, PenaltiesBelongToNoExample) {
  const auto network = example_networks().front().make();
  const auto loss = cross_entropy_mean();
  Tensor squares = torch::zeros({}, torch::kDouble);
  for (const auto& p : network.parameters) squares = squares + p.square().sum();
  const LossGraph graph(loss.of_batch(network.forward(network.x)) + 0.1 * squares,
                        network.parameters);
  EXPECT_LT(relative_error(per_example_gradients(graph), one_by_one(network, loss)), kRounding);
  EXPECT_EQ(captured_parameters(graph), std::vector<bool>(4, true));
}

TEST(PerExampleGradientsTest, RetainedGradientsStayTheUsers) {
  const auto x = randn({kBatch, 4}, 1), w = parameter({6, 4}, 2), v = parameter({kClasses, 6}, 3);
  const auto hidden = torch::linear(x, w).tanh();
  hidden.retain_grad();
  const LossGraph graph(F::cross_entropy(torch::linear(hidden, v), labels()), {w, v});
  per_example_gradients(graph);
  EXPECT_FALSE(hidden.grad().defined());
}

TEST(PerExampleGradientsTest, OneExampleHasTheWholeGradient) {
  const auto network = example_networks().front().make();
  const auto loss =
      F::mse_loss(network.forward(network.x.narrow(0, 0, 1)), reals().narrow(0, 0, 1));
  const LossGraph graph(loss, network.parameters);
  EXPECT_LT(relative_error(per_example_gradients(graph), graph.gradient().unsqueeze(0)), kRounding);
}

/// More examples than are pulled back at once, through an op that vmap can run or cannot.
void expect_gradients_of_a_long_batch(const std::function<Tensor(const Tensor&)>& op) {
  constexpr int64_t kMany = 67;
  const auto x = randn({kMany, 4}, 1), y = randn({kMany, kClasses}, 2);
  const auto gate = parameter({4}, 3), w = parameter({kClasses, 4}, 4);
  const LossGraph graph(F::mse_loss(torch::linear(op(x * gate), w), y), {gate, w});
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kMany; ++i) {
    const auto z = torch::linear(op(x[i] * gate), w);
    rows.push_back(gradient_of((z - y[i]).pow(2).sum() / (kMany * kClasses), {gate, w}));
  }
  EXPECT_LT(relative_error(per_example_gradients(graph), torch::stack(rows)), kRounding);
}

TEST(PerExampleGradientsTest, LongBatches) {
  expect_gradients_of_a_long_batch([](const Tensor& x) { return x.sin(); });
}

TEST(PerExampleGradientsTest, LongBatchesThroughAnOpThatReadsRawData) {
  expect_gradients_of_a_long_batch([](const Tensor& x) { return RawDataSine::apply(x); });
}

TEST(PerExampleGradientsTest, FloatParametersGiveFloatGradients) {
  const auto x = randn({kBatch, 4}, 1), w = randn({kClasses, 4}, 2);
  const auto narrow = w.to(torch::kFloat).requires_grad_(), wide = w.clone().requires_grad_();
  const auto gradients = [&](const Tensor& weight) {
    const auto z = torch::linear(x.to(weight.dtype()), weight).tanh();
    return per_example_gradients(LossGraph(F::cross_entropy(z, labels()), {weight}));
  };
  EXPECT_EQ(gradients(narrow).dtype(), torch::kFloat);
  EXPECT_LT(relative_error(gradients(narrow), gradients(wide)), 1e-6);  // a few ulps of float32
}

TEST(PerExampleGradientsTest, AutocastKeepsTheCapture) {
  const auto x = randn({kBatch, 4}, 1).to(torch::kFloat);
  const auto w = randn({6, 4}, 2).to(torch::kFloat).requires_grad_();
  const auto v = randn({kClasses, 6}, 3).to(torch::kFloat).requires_grad_();
  const auto loss = [&] {
    return F::cross_entropy(torch::linear(torch::linear(x, w).tanh(), v), labels());
  };
  at::autocast::set_autocast_dtype(at::kCPU, torch::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto mixed = loss();
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  const LossGraph graph(mixed, {w, v}), full(loss(), {w, v});
  EXPECT_EQ(captured_parameters(graph), (std::vector<bool>{true, true}));
  EXPECT_EQ(per_example_gradients(graph).dtype(), torch::kFloat);
  // bfloat16 keeps 8 bits, 4e-3; two layers of it forward and back.
  EXPECT_LT(relative_error(per_example_gradients(graph), per_example_gradients(full)), 3e-2);
}

// ---- Errors. ----

void expect_refused(const Tensor& loss, const std::vector<Tensor>& parameters,
                    std::initializer_list<std::string_view> needles) {
  const LossGraph graph(loss, parameters);
  expect_error_naming([&] { per_example_gradients(graph); }, needles);
}

TEST(PerExampleGradientsTest, AnOutputWithoutExamplesIsRefused) {
  const auto w = parameter({kClasses, 4}, 1), s = parameter({}, 2);
  const auto z = outputs(torch::linear(randn({kBatch, 4}, 3), w)), t = outputs(s);
  expect_refused(rewards(z) * (-t).exp() + t, {w, s}, {"shape []", "dimension 0", "expand"});
}

TEST(PerExampleGradientsTest, OutputsOfDifferentLengthAreRefused) {
  const auto w = parameter({kClasses, 4}, 1), v = parameter({2, 4}, 2);
  const auto long_batch = torch::linear(randn({2 * kBatch, 4}, 3), v);
  const auto loss = F::cross_entropy(torch::linear(randn({kBatch, 4}, 4), w), labels()) +
                    F::mse_loss(long_batch, randn({2 * kBatch, 2}, 5));
  expect_refused(loss, {w, v}, {"shape [5, 3]", "10 rows"});
}

TEST(PerExampleGradientsTest, ClassesInDimensionZeroAreRefused) {
  const auto w = parameter({kClasses, 4}, 1);
  const auto z = torch::linear(randn({kClasses, 4}, 2), w);
  expect_refused(nll(Categorical(z, 0), torch::tensor({0, 1, 1})), {w}, {"Transpose z"});
}

TEST(PerExampleGradientsTest, AFreedGraphIsExplained) {
  const auto w = parameter({kClasses, 4}, 1);
  const auto loss = F::cross_entropy(torch::linear(randn({kBatch, 4}, 2), w), labels());
  const LossGraph graph(loss, {w});
  loss.backward();
  expect_error([&] { per_example_gradients(graph); }, "the graph of this loss has been freed");
}

TEST(PerExampleGradientsTest, ActivationsChangedInPlaceAreExplained) {
  const auto x = randn({kBatch, 4}, 2), w = parameter({kClasses, 4}, 1);
  const LossGraph graph(F::cross_entropy(torch::linear(x, w), labels()), {w});
  x.mul_(2);
  expect_error([&] { per_example_gradients(graph); }, "changed in place");
}

}  // namespace
}  // namespace natgrad::testing::per_example_gradients_test
