// LSTMs in float32, which LibTorch runs on the CPU as one op over all time steps, against the same
// numbers in double, where it does not.

#include "libtorch/fused_lstm.h"

#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/per_example_gradients.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>
#include <natgrad/preconditioners/kronecker_factors.h>

#include <algorithm>

#include "graph/census.h"
#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::fused_lstm_test {
namespace {

namespace F = torch::nn::functional;
namespace nn = torch::nn;

constexpr int64_t kSteps = 5, kSequences = 4, kIn = 3, kHidden = 4, kClasses = 3;
// Sums over some steps of numbers of order one, in float32.
constexpr double kFloat = 1e-5;

struct Case {
  std::string name;
  nn::LSTMOptions options;
  bool takes_states = false;  ///< the head sees the last h and c too
};

/// An LSTM and a linear head on its last step.
struct Classifier : nn::Module {
  Classifier(const Case& of, torch::Dtype dtype) : takes_states(of.takes_states) {
    torch::manual_seed(1);
    batch_first = of.options.batch_first();
    lstm = register_module("lstm", nn::LSTM(of.options));
    const auto width = kHidden * (of.options.bidirectional() ? 2 : 1) + (takes_states ? 2 : 0);
    head = register_module("head", nn::Linear(width, kClasses));
    to(dtype);
  }

  /// x: [N, T, in].
  Tensor forward(const Tensor& x) {
    const auto [all, states] = lstm->forward(batch_first ? x : x.transpose(0, 1));
    // Both ends, for each direction has its own first step.
    auto features = batch_first ? all.select(1, -1) + all.select(1, 0) : all[-1] + all[0];
    if (takes_states) {
      const auto sum = [](const Tensor& state) { return state.sum(0).sum(1, true); };
      features = torch::cat({features, sum(std::get<0>(states)), sum(std::get<1>(states))}, 1);
    }
    return head->forward(features);
  }

  bool takes_states, batch_first;
  nn::LSTM lstm = nullptr;
  nn::Linear head = nullptr;
};

Tensor sequences(torch::Dtype dtype) { return randn({kSequences, kSteps, kIn}, 2).to(dtype); }
Tensor labels() { return torch::tensor({0, 2, 1, 2}); }

std::vector<Case> cases() {
  const nn::LSTMOptions plain(kIn, kHidden);
  auto first = plain, two_layers = plain, both_ways = plain, no_bias = plain;
  return {{"Plain", plain},
          {"BatchFirst", first.batch_first(true)},
          {"TwoLayers", two_layers.num_layers(2)},
          {"BothWays", both_ways.bidirectional(true).num_layers(2).batch_first(true)},
          {"WithoutBias", no_bias.bias(false)},
          {"StatesUsed", plain, true}};
}

bool is_fused(const Tensor& loss) {
  const detail::Census census({torch::autograd::impl::gradient_edge(loss)});
  return std::any_of(census.nodes.begin(), census.nodes.end(),
                     [](const auto* node) { return detail::is_fused_lstm(*node); });
}

class FusedLstmTest : public ::testing::TestWithParam<Case> {};

TEST_P(FusedLstmTest, EachExamplesGradientIsThatOfTheExampleAlone) {
  Classifier model(GetParam(), torch::kFloat), exact(GetParam(), torch::kDouble);
  const auto loss = F::cross_entropy(model.forward(sequences(torch::kFloat)), labels(),
                                     F::CrossEntropyFuncOptions().reduction(torch::kSum));
  ASSERT_TRUE(is_fused(loss)) << "LibTorch runs this LSTM in another way now";
  const LossGraph graph(loss, model.parameters());
  const auto covers = captured_parameters(graph);
  EXPECT_TRUE(std::all_of(covers.begin(), covers.end(), [](bool is) { return is; }));
  const auto rows = per_example_gradients(graph);
  const auto parameters = exact.parameters();
  for (int64_t i = 0; i < kSequences; ++i) {
    const auto alone = F::cross_entropy(exact.forward(sequences(torch::kDouble).narrow(0, i, 1)),
                                        labels().narrow(0, i, 1));
    const auto g = flat(torch::autograd::grad({alone}, parameters));
    EXPECT_LE(relative_error(rows[i].to(torch::kDouble), g), kFloat) << "example " << i;
  }
}

TEST_P(FusedLstmTest, ADefaultStepTakesScoreRowsAndIsThatInDouble) {
  const auto step = [&](torch::Dtype dtype) {
    Classifier model(GetParam(), dtype);
    NaturalGradient optimizer(model.parameters());
    optimizer.step(F::cross_entropy(model.forward(sequences(dtype)), labels()));
    EXPECT_EQ(optimizer.summary().curvature, "score rows");
    return flat(model.parameters()).detach().to(torch::kDouble);
  };
  EXPECT_LE(relative_error(step(torch::kFloat), step(torch::kDouble)), 10 * kFloat);
}

TEST_P(FusedLstmTest, KroneckerFactorsCoverIt) {
  Classifier model(GetParam(), torch::kFloat), exact(GetParam(), torch::kDouble);
  const auto factors_of = [](Classifier& of, torch::Dtype dtype) {
    const auto loss = F::cross_entropy(of.forward(sequences(dtype)), labels());
    return kronecker_factors(LossGraph(loss, of.parameters()), make_generator(1));
  };
  const auto factors = factors_of(model, torch::kFloat);
  int64_t weights = 0;
  for (const auto& parameter : model.parameters()) weights += parameter.dim() == 2;
  ASSERT_EQ(static_cast<int64_t>(factors.blocks.size()), weights);
  // In double the steps are layers of their own with the same weight.
  const auto expected = factors_of(exact, torch::kDouble);
  for (size_t k = 0; k < factors.blocks.size(); ++k) {
    const auto& block = factors.blocks[k];
    const auto twin = std::find_if(expected.blocks.begin(), expected.blocks.end(),
                                   [&](const auto& b) { return b.weight == block.weight; });
    ASSERT_NE(twin, expected.blocks.end());
    const auto size = block.activations.size(1) - (block.bias ? 1 : 0);
    const auto part = [size](const Tensor& A) {
      return A.narrow(1, 0, size).narrow(2, 0, size).to(torch::kDouble);
    };
    EXPECT_LE(relative_error(part(block.activations), part(twin->activations)), kFloat);
  }
}

INSTANTIATE_TEST_SUITE_P(Lstms, FusedLstmTest, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

// A head on every step gives a sequence several observations; the exact matrix needs no layers.
TEST(FusedLstmTest, AHeadOnEveryStepIsReadToo) {
  Classifier model(cases()[1], torch::kFloat);
  const auto z = model.head->forward(std::get<0>(model.lstm->forward(sequences(torch::kFloat))));
  const auto y = torch::zeros({kSequences, kSteps}, torch::kLong);
  NaturalGradient optimizer(model.parameters());
  optimizer.step(F::cross_entropy(z.transpose(1, 2), y));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
}

}  // namespace
}  // namespace natgrad::testing::fused_lstm_test
