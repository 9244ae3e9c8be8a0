// λ is tr(C)/N however the loss over N examples is written.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::example_count_test {
namespace {

namespace F = torch::nn::functional;

constexpr int64_t kExamples = 64;
// The mean of 400 draws, each with a relative standard deviation of at most √2: four of them. What
// is told apart here are factors of 2 and more.
constexpr int kDraws = 400;
constexpr double kConfidence = 0.28;
constexpr double kRounding = 1e-12;

struct ExampleCount : ::testing::Test {
  const Tensor x = randn({kExamples, 3}, 1);
  const Tensor y = torch::randint(4, {kExamples}, seeded(2), torch::kLong);
  torch::nn::Linear hidden{3, 5}, head{5, 4}, other_head{5, 4};

  void SetUp() override {
    for (torch::nn::Linear layer : {hidden, head, other_head}) {
      layer->to(torch::kDouble);
      const torch::NoGradGuard no_grad;
      uint64_t seed = 10;
      for (auto& p : layer->parameters()) p.copy_(randn(p.sizes(), ++seed));
    }
  }
  std::vector<Tensor> parameters() const {
    std::vector<Tensor> all;
    for (torch::nn::Linear layer : {hidden, head, other_head}) {
      for (auto& p : layer->parameters()) all.push_back(p);
    }
    return all;
  }
  Tensor trunk(const Tensor& inputs) { return torch::tanh(hidden->forward(inputs)); }
  Tensor loss_of(const Tensor& inputs, const Tensor& labels) {
    return F::cross_entropy(head->forward(trunk(inputs)), labels);
  }

  /// The mean of many draws over tr(C)/N.
  double relative_noise(const Tensor& loss, double examples) const {
    const LossGraph graph(loss, parameters());
    const auto at = FisherOrGaussNewton().at(graph);
    double sum = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      sum += at.noise(make_generator(7, draw)).item<double>();
    }
    return sum / kDraws / (dense(at.matrix).trace().item<double>() / examples);
  }
  double distinct(const Tensor& loss) const {
    return LossGraph(loss, parameters()).distinct_examples();
  }
};

// ---- Micro-batches. ----

struct Pieces : ExampleCount, ::testing::WithParamInterface<std::tuple<int64_t, bool>> {
  /// The mean of the losses of so many pieces, as views of the batch or copies of its rows.
  Tensor loss() {
    const auto [count, copied] = GetParam();
    std::vector<Tensor> losses;
    for (int64_t k = 0; k < count; ++k) {
      const auto rows = x.narrow(0, k * kExamples / count, kExamples / count);
      losses.push_back(loss_of(copied ? rows.clone() : rows, y.chunk(count)[k]));
    }
    return torch::stack(losses).mean();
  }
};

TEST_P(Pieces, HaveTheNoiseOfTheWholeBatch) {
  EXPECT_EQ(distinct(loss()), kExamples);
  EXPECT_NEAR(relative_noise(loss(), kExamples), 1, kConfidence);
}

INSTANTIATE_TEST_SUITE_P(Counts, Pieces,
                         ::testing::Combine(::testing::Values(1, 4, 16, 64), ::testing::Bool()));

TEST_F(ExampleCount, TheDefaultHasOneLambdaForAllNumbersOfPieces) {
  // Of one logit an example score rows are the Fisher matrix itself, and tell its trace exactly.
  const auto targets = (y % 2).to(torch::kDouble);
  const auto loss_of_logit = [&](int64_t begin, int64_t size) {
    return F::binary_cross_entropy_with_logits(
        head->forward(trunk(x.narrow(0, begin, size))).select(1, 0),
        targets.narrow(0, begin, size));
  };
  const auto noise_of = [&](int64_t pieces) {
    std::vector<Tensor> losses;
    const auto size = kExamples / pieces;
    for (int64_t k = 0; k < pieces; ++k) losses.push_back(loss_of_logit(k * size, size));
    const auto at = ScoreRowsOrFisher().at(LossGraph(torch::stack(losses).mean(), parameters()));
    double sum = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      sum += at.noise(make_generator(8, draw)).item<double>();
    }
    return sum / kDraws;
  };
  for (const int64_t pieces : {4, 16, 64}) {
    EXPECT_NEAR(noise_of(pieces) / noise_of(1), 1, kConfidence) << pieces;
  }
}

TEST_F(ExampleCount, OfPiecesOfUnequalSizeIsTheirSum) {
  const auto part = [&](int64_t begin, int64_t size) {
    return loss_of(x.narrow(0, begin, size), y.narrow(0, begin, size)) * size / kExamples;
  };
  const auto loss = part(0, 48) + part(48, 16);
  EXPECT_EQ(distinct(loss), kExamples);
  EXPECT_NEAR(relative_noise(loss, kExamples), 1, kConfidence);
}

// ---- The same examples more than once. ----

TEST_F(ExampleCount, OfHeadsIsThatOfTheTrunk) {
  const auto h = trunk(x);
  const auto loss = F::cross_entropy(head->forward(h), y) +
                    F::mse_loss(other_head->forward(h), 0 * h.detach().narrow(1, 0, 4));
  EXPECT_EQ(distinct(loss), kExamples);
}

TEST_F(ExampleCount, OfHeadsWithDropoutOfTheirOwnIsThatOfTheTrunk) {
  const auto h = trunk(x);
  const auto dropped = [&] { return torch::dropout(h, 0.5, true); };
  const auto loss = F::cross_entropy(head->forward(dropped()), y) +
                    F::cross_entropy(other_head->forward(dropped()), y);
  EXPECT_EQ(distinct(loss), kExamples);
}

TEST_F(ExampleCount, OfThreePassesOverTheSameInputsIsOne) {
  EXPECT_EQ(distinct(loss_of(x, y) + loss_of(x, y) + loss_of(x, y)), kExamples);
}

TEST_F(ExampleCount, OfPassesOverInputsOfTheirOwnIsTheirSum) {
  EXPECT_EQ(distinct(loss_of(x, y) + loss_of(x + 1, y) + loss_of(x + 2, y)), 3 * kExamples);
}

TEST_F(ExampleCount, OfEmbeddedPiecesIsTheirSum) {
  const auto table = randn({7, 3}, 6).requires_grad_();
  const auto ids = torch::randint(7, {kExamples}, seeded(5), torch::kLong);
  const auto of = [&](int64_t begin) {
    return loss_of(torch::embedding(table, ids.narrow(0, begin, kExamples / 2)),
                   y.narrow(0, begin, kExamples / 2));
  };
  auto all = parameters();
  all.push_back(table);
  const auto distinct_of = [&](const Tensor& loss) {
    return LossGraph(loss, all).distinct_examples();
  };
  EXPECT_EQ(distinct_of(of(0) + of(kExamples / 2)), kExamples);
  EXPECT_EQ(distinct_of(of(0) + of(0)), kExamples / 2);
}

// ---- Time steps. ----

TEST_F(ExampleCount, OfTimeStepsInALoopIsThatOfAllStepsAtOnce) {
  constexpr int64_t kSteps = 4, kSequences = kExamples / kSteps;
  for (const bool batch_first : {false, true}) {
    const auto inputs = randn({kSteps, kSequences, 3}, 3);
    const auto sequences = batch_first ? inputs.transpose(0, 1).contiguous() : inputs;
    const auto recurrent = randn({5, 5}, 4);
    std::vector<Tensor> outputs, losses;
    auto state = torch::zeros({kSequences, 5}, torch::kDouble);
    for (int64_t t = 0; t < kSteps; ++t) {
      const auto input = sequences.select(batch_first ? 1 : 0, t);
      state = torch::tanh(hidden->forward(input) + state.mm(recurrent));
      outputs.push_back(head->forward(state));
      losses.push_back(F::cross_entropy(outputs.back(), y.chunk(kSteps)[t]));
    }
    const auto in_a_loop = torch::stack(losses).mean();
    EXPECT_EQ(distinct(in_a_loop), kExamples) << "batch first: " << batch_first;
    EXPECT_EQ(distinct(F::cross_entropy(torch::cat(outputs), y)), kExamples);
    EXPECT_NEAR(relative_noise(in_a_loop, kExamples), 1, kConfidence);
  }
}

// ---- Where it cannot be told. ----

TEST_F(ExampleCount, TheSummarySaysWhatWasAssumed) {
  const auto w = torch::ones({3}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w});
  const auto target = torch::zeros({kExamples, 3}, torch::kDouble);
  optimizer.step(F::mse_loss(x - w, target) + F::mse_loss(x + w, target));
  EXPECT_EQ(optimizer.summary().examples, 2 * kExamples);
  EXPECT_NE(optimizer.summary().message().find("128 examples (2 outputs, taken to have 2 inputs"),
            std::string::npos)
      << optimizer.summary().message();
}

TEST_F(ExampleCount, TheSummarySaysWhatWasFound) {
  NaturalGradient optimizer(parameters());
  optimizer.step(loss_of(x, y) + loss_of(x, y));
  EXPECT_NE(optimizer.summary().message().find("64 examples (2 outputs with the same inputs)"),
            std::string::npos)
      << optimizer.summary().message();
  optimizer.step(loss_of(x, y));
  EXPECT_EQ(optimizer.summary().examples, kExamples);
  EXPECT_EQ(optimizer.summary().examples_basis, "");
}

/// λ of a step that does not move.
double first_lambda(NaturalGradientOptions options, const Tensor& loss,
                    const std::vector<Tensor>& parameters) {
  NaturalGradient optimizer(parameters, options.lr(0));
  optimizer.step(loss);
  return optimizer.summary().lambda;
}

TEST_F(ExampleCount, TheOptionOverrides) {
  // Twice the examples, half of λ: by rows, and by the exact matrix's probe.
  const auto rows = NaturalGradientOptions();
  const auto exact = NaturalGradientOptions().curvature(GaussNewton());
  for (auto options : {rows, exact}) {
    const double found = first_lambda(options, loss_of(x, y), parameters());
    options.examples(2 * kExamples);
    const double told = first_lambda(options, loss_of(x, y), parameters());
    EXPECT_NEAR(told, found / 2, kRounding * found) << options.describe_system();
  }
}

TEST_F(ExampleCount, TheOptionCountsAllChunks) {
  const auto lambda = [&](int64_t examples) {
    NaturalGradient optimizer(parameters(), NaturalGradientOptions().lr(0).examples(examples));
    optimizer.step(4, [&](int64_t k) { return loss_of(x.chunk(4)[k], y.chunk(4)[k]); });
    return optimizer.summary().lambda;
  };
  EXPECT_NEAR(lambda(kExamples), lambda(0), kRounding * lambda(0));
}

TEST_F(ExampleCount, TheOptionLetsAnyLossHaveItsNoise) {
  const auto w = torch::tensor({1., 2.}, torch::kDouble).requires_grad_();
  const auto options = NaturalGradientOptions().curvature(Hessian()).examples(10);
  // ∇²(w⁴/4) of one parameter an entry is 3w²: signs square to one.
  const double lambda = first_lambda(options, (w.pow(4) / 4).sum(), {w});
  EXPECT_NEAR(lambda, (3 * 1 + 3 * 4) / 10., kRounding);
}

TEST_F(ExampleCount, ANegativeNumberIsRefused) {
  expect_error([&] { NaturalGradient(parameters(), NaturalGradientOptions().examples(-1)); },
               "examples is the number of examples");
}

}  // namespace
}  // namespace natgrad::testing::example_count_test
