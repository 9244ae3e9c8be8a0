#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/curvature/blocks.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/marks.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::blocks_test {
namespace {

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;
// Of a mean over draws: once in 26 million trials.
constexpr double kDeviations = 5.5;

/// The blocks of a dense matrix, by masks.
std::vector<Tensor> cut(const Tensor& matrix, const ParameterLayout& parameters,
                        const std::vector<int64_t>& blocks) {
  std::vector<Tensor> numbers;
  for (size_t i = 0; i < blocks.size(); ++i) {
    numbers.push_back(torch::full({parameters.tensors()[i].numel()}, blocks[i], torch::kLong));
  }
  const auto number = torch::cat(numbers);
  std::vector<Tensor> result;
  for (int64_t b = 0; b <= number.max().item<int64_t>(); ++b) {
    const auto mask = number.eq(b);
    result.push_back(matrix.index({mask}).index({torch::indexing::Slice(), mask}));
  }
  return result;
}

void expect_alike(const std::vector<Tensor>& actual, const std::vector<Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t b = 0; b < actual.size(); ++b) {
    EXPECT_LT(relative_error(actual[b], expected[b]), kRounding) << "block " << b;
  }
}

// ---- Which parameters share one. ----

TEST(BlocksTest, AreNumberedByParameterOrByLayer) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));  // two layers with biases
  EXPECT_EQ(blocks_by_parameter(problem.graph.parameters()), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(blocks_by_layer(problem.graph), (std::vector<int64_t>{0, 0, 1, 1}));
}

TEST(BlocksTest, OfTiedLayersAreOne) {
  // The first weight is used with two biases, the last matrix is no layer's.
  const auto x = randn({5, 3}, 1), w = parameter({3, 3}, 2), b = parameter({3}, 3),
             c = parameter({3}, 4), scale = parameter({3}, 5);
  const auto h = torch::linear(torch::linear(x, w, b).tanh(), w, c);
  const LossGraph graph((outputs(h * scale.exp()).square()).mean(), {scale, b, w, c});
  EXPECT_EQ(blocks_by_layer(graph), (std::vector<int64_t>{0, 1, 1, 1}));
}

// ---- Of the empirical Fisher matrix. ----

TEST(BlocksTest, OfTheEmpiricalFisherMatrixAreCutOutOfIt) {
  for (const auto* loss : {"CrossEntropyMean", "HeadsOfTwoFamilies", "MseMean"}) {
    const auto problem = make_problem(loss_named(loss));
    const auto& parameters = problem.graph.parameters();
    for (const auto& blocks : {blocks_by_parameter(parameters), blocks_by_layer(problem.graph),
                               std::vector<int64_t>{1, 0, 0, 1}}) {
      for (const auto moment : {Moment::Uncentred, Moment::Centred}) {
        for (const auto weights : {FisherWeights::OfTheLoss, FisherWeights::Uniform}) {
          const auto whole = dense(empirical_fisher(problem.graph, moment, weights));
          expect_alike(empirical_fisher_blocks(problem.graph, blocks, moment, weights),
                       cut(whole, parameters, blocks));
        }
      }
    }
  }
}

// ---- Of the Fisher matrix, estimated. ----

TEST(BlocksTest, OfOneOutputAnExampleAreExactBySigns) {
  // A convolutional net as well: its rows come from its layers.
  const auto x = randn({7, 3}, 11), w = parameter({4, 3}, 12), b = parameter({4}, 13),
             v = parameter({1, 4}, 14);
  const auto z = torch::linear(torch::linear(x, w, b).tanh(), v);
  const auto y = (randn({7, 1}, 15) > 0).to(torch::kDouble);
  const auto s = torch::rand({7, 1}, seeded(16), torch::kDouble) + 0.1;
  const auto each = torch::binary_cross_entropy_with_logits(z, y, {}, {}, at::Reduction::None);
  const LossGraph graph((s * each).sum(), {w, b, v});
  const auto blocks = blocks_by_layer(graph);
  for (const auto weights : {FisherWeights::OfTheLoss, FisherWeights::Uniform}) {
    expect_alike(estimated_fisher_blocks(graph, blocks, 1, seeded(17), BlockProbes::Signs, weights),
                 cut(dense(fisher(graph, weights)), graph.parameters(), blocks));
  }
}

/// The stated variance of one draw with signs: Σᵢ ‖a‖²‖b‖² + (a·b)² - 2 Σ a²b², a and b columns of
/// √s BᵀJᵢ, by a root of F_R of the closed form.
Tensor stated_variance(const Problem& problem) {
  const auto J =
      jacobian(problem.z, problem.network.parameters).view({kExamples, kOutputs, problem.size()});
  const auto root_p = problem.z.detach().softmax(1).sqrt();
  auto sum = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto B = torch::diag(root_p[i]) - root_p[i].square().outer(root_p[i]);
    const auto rows = B.t().mm(J[i]) / std::sqrt(kExamples), squares = rows.square();
    const auto inner = rows.t().mm(rows), norm = squares.sum(0);
    sum += norm.outer(norm) + inner.square() - 2 * squares.t().mm(squares);
  }
  return sum;
}

/// Whether the mean over draws is F as far as their own deviation tells.
void expect_unbiased(const std::string& loss, BlockProbes draw) {
  constexpr int kDraws = 400;
  const auto problem = make_problem(loss_named(loss));
  const auto blocks = blocks_by_layer(problem.graph);
  const auto expected = cut(dense(fisher(problem.graph)), problem.graph.parameters(), blocks);
  const auto generator = seeded(21);
  std::vector<std::vector<Tensor>> draws(expected.size());
  for (int k = 0; k < kDraws; ++k) {
    const auto of = estimated_fisher_blocks(problem.graph, blocks, 1, generator, draw);
    for (size_t b = 0; b < of.size(); ++b) draws[b].push_back(of[b]);
  }
  for (size_t b = 0; b < expected.size(); ++b) {
    const auto all = torch::stack(draws[b]);
    const auto allowed =
        kDeviations * all.std(0) / std::sqrt(kDraws) + kRounding * expected[b].abs().max();
    EXPECT_TRUE((all.mean(0) - expected[b]).abs().le(allowed).all().item<bool>())
        << loss << ", block " << b;
  }
}

TEST(BlocksTest, OfTheFisherMatrixAreUnbiased) {
  // With targets: of families whose draws are not rare, or they do not tell their deviation.
  for (const auto* loss : {"CrossEntropyMean", "HeadsOfTwoFamilies"}) {
    expect_unbiased(loss, BlockProbes::Signs);
  }
  for (const auto* loss : {"CrossEntropyOfImages", "HeadsOfTwoFamilies"}) {
    expect_unbiased(loss, BlockProbes::Targets);
  }
}

TEST(BlocksTest, OfSignsHaveTheStatedVariance) {
  constexpr int kDraws = 600;
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const std::vector<int64_t> one(4, 0);  // the whole matrix
  std::vector<Tensor> draws;
  const auto generator = seeded(22);
  for (int k = 0; k < kDraws; ++k) {
    draws.push_back(estimated_fisher_blocks(problem.graph, one, 1, generator)[0]);
  }
  const auto seen = torch::stack(draws).var(0).sum(), stated = stated_variance(problem).sum();
  // The sum over thousands of entries, which are correlated: known to some 3 %.
  EXPECT_NEAR((seen / stated).item<double>(), 1, 0.1);
}

TEST(BlocksTest, OfTargetsAreThoseOfASampledGradientEach) {
  // Many draws at once are the mean of as many single ones.
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto blocks = blocks_by_parameter(problem.graph.parameters());
  const auto three =
      estimated_fisher_blocks(problem.graph, blocks, 3, seeded(23), BlockProbes::Targets);
  const auto generator = seeded(23);
  std::vector<Tensor> mean;
  for (int k = 0; k < 3; ++k) {
    const auto one =
        estimated_fisher_blocks(problem.graph, blocks, 1, generator, BlockProbes::Targets);
    for (size_t b = 0; b < one.size(); ++b) {
      if (k == 0) mean.push_back(torch::zeros_like(one[b]));
      mean[b] += one[b] / 3;
    }
  }
  expect_alike(three, mean);
  const auto eigenvalues = torch::linalg_eigvalsh(three[2]);
  EXPECT_GE(eigenvalues.min().item<double>(), -1e-12 * eigenvalues.max().item<double>());
  EXPECT_LE(eigenvalues.gt(1e-12 * eigenvalues.max()).sum().item<int64_t>(), 3 * kExamples);
}

// ---- As an operator. ----

TEST(BlocksTest, MakeAnOperatorThatKnowsItsInverse) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto& parameters = problem.graph.parameters();
  const std::vector<int64_t> blocks{1, 0, 0, 1};
  const auto C = from_blocks(parameters, blocks, empirical_fisher_blocks(problem.graph, blocks));
  const auto expected = dense(block_diagonal(empirical_fisher(problem.graph), parameters, blocks));
  EXPECT_LT(relative_error(dense(C), expected), kRounding);
  const auto v = randn({problem.size()}, 31);
  const auto damped = expected + 0.1 * torch::eye(problem.size(), torch::kDouble);
  EXPECT_LT(relative_error((C + 0.1).solve(v), torch::linalg_solve(damped, v)), kRounding);
}

TEST(BlocksTest, MalformedArgumentsThrow) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto& parameters = problem.graph.parameters();
  expect_error([&] { empirical_fisher_blocks(problem.graph, {0}); }, "4 parameters");
  expect_error([&] { empirical_fisher_blocks(problem.graph, {0, -1, 0, 0}); }, "parameter 1 is -1");
  expect_error(
      [&] {
        estimated_fisher_blocks(problem.graph, {0, 0, 0, 0}, 0, seeded(1));
      },
      "at least 1 probe");
  expect_error([&] { from_blocks(parameters, {0, 0, 1, 1}, {torch::eye(3)}); }, "2 blocks");
  expect_error(
      [&] {
        from_blocks(parameters, {0, 1, 2, 3}, std::vector<Tensor>(4, torch::eye(3)));
      },
      "block 0 has 15 numbers");
  const auto own = make_problem(loss_named("OwnErrorOfCubes"));
  expect_error(
      [&] {
        estimated_fisher_blocks(own.graph, {0, 0, 0, 0}, 1, seeded(1));
      },
      "likelihood");
}

}  // namespace
}  // namespace natgrad::testing::blocks_test
