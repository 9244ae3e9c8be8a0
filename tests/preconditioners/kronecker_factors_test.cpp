#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/output_noise.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/preconditioners/kronecker_factors.h>

#include <set>

#include "support/example_networks.h"
#include "support/kronecker_references.h"
#include "support/losses.h"
#include "support/networks.h"

namespace natgrad::testing::kronecker_factors_test {
namespace {

// Sums of a few hundred products, in another order.
constexpr double kRounding = 1e-12;
// Of inverses of matrices of condition 1e4 or less.
constexpr double kInverted = 1e-10;
constexpr double kLambda = 1e-2;
constexpr uint64_t kSeed = 71;

Tensor gaussian_loss(const Tensor& z, double variance = 1) {
  return nll(Gaussian(z, variance), torch::zeros_like(z));
}

Tensor matrix_of(const KroneckerFactors& factors, const LossGraph& graph) {
  return dense(kronecker_product(factors, graph.parameters()));
}

KroneckerFactors factors_of(const LossGraph& graph, const KroneckerOptions& options = {}) {
  return kronecker_factors(graph, seeded(kSeed), options);
}

/// Jᵀ of the noise that `factors_of` draws first, flat over the tensors.
std::vector<Tensor> pulled_back_noise(const LossGraph& graph, const Tensor& z,
                                      const std::vector<Tensor>& of) {
  const auto noise = output_noise(graph, seeded(kSeed)).front();
  return torch::autograd::grad({z}, of, {noise}, /*retain_graph=*/true);
}

// ---- Where the factored form is exact. ----

// One Gaussian output: δ is ±√s/σ, and F = Σ s a aᵀ/σ².
TEST(KroneckerFactorsTest, OfOneGaussianUnitAreTheFisherMatrix) {
  const auto w = parameter({1, 4}, 1), b = parameter({1}, 2);
  const LossGraph graph(gaussian_loss(torch::linear(randn({7, 4}, 3), w, b), 0.3), {w, b});
  EXPECT_LT(relative_error(matrix_of(factors_of(graph), graph), dense(fisher(graph))), kRounding);
}

TEST(KroneckerFactorsTest, OfGaussianUnitsAreTheFisherMatrixInTheMean) {
  const auto w = parameter({3, 4}, 1), b = parameter({3}, 2);
  const auto x = randn({7, 4}, 3);
  const LossGraph graph(gaussian_loss(torch::linear(x, w, b), 0.5), {w, b});
  constexpr int64_t kSamples = 1000;
  const auto factors = factors_of(graph, KroneckerOptions().samples(kSamples));
  EXPECT_LT(relative_error(factors.blocks.at(0).activations[0], sum_of_squares(with_ones(x)) / 7),
            kRounding);
  // Entries off the diagonal have the deviation 1/(σ² √(7·2000)); 5 of them.
  const auto g = factors.blocks.at(0).gradients[0];
  const auto expected = torch::eye(3, torch::kDouble) / 0.5;
  EXPECT_LT((g - expected).abs().max().item<double>(), 5 / (0.5 * std::sqrt(7. * kSamples)));
  EXPECT_LT(relative_error(
                matrix_of({{{0, 1, false, factors.blocks[0].activations, expected.unsqueeze(0)}},
                           factors.diagonal},
                          graph),
                dense(fisher(graph))),
            kRounding);
}

// For one example the activations are fixed, and nothing is assumed but the block itself.
TEST(KroneckerFactorsTest, OfOneExampleAreTheBlocksOfTheFisherMatrixInTheMean) {
  const auto w = parameter({3, 2}, 1), b = parameter({3}, 2), v = parameter({2, 3}, 4);
  const auto z = torch::linear(torch::linear(randn({1, 2}, 3), w, b).tanh(), v);
  const LossGraph graph(nll(Bernoulli(z), torch::ones_like(z)), {w, b, v});
  constexpr int64_t kSamples = 1500;
  const auto average = matrix_of(factors_of(graph, KroneckerOptions().samples(kSamples)), graph);
  const auto F = dense(fisher(graph));
  const auto expected =
      block_diagonal({F.narrow(0, 0, 9).narrow(1, 0, 9), F.narrow(0, 9, 6).narrow(1, 9, 6)});
  // A draw is off by about its own size.
  EXPECT_LT(relative_error(average, expected), 5 / std::sqrt(kSamples));
}

// ---- One row and position: the block is the outer product of the pulled-back noise. ----

struct SingleRow {
  std::string name;
  std::vector<std::vector<int64_t>> shapes;  // of the parameters
  std::vector<int64_t> input;
  std::function<Tensor(const Tensor& x, const std::vector<Tensor>&)> forward;
  /// Which block each number of the flat parameters is in; -1: the diagonal.
  std::function<Tensor()> blocks;
};

Tensor in_one_block(int64_t size) { return torch::zeros({size}, torch::kLong); }

std::vector<SingleRow> single_rows() {
  using Parameters = std::vector<Tensor>;
  const auto flat = [](const Tensor& t) { return t.flatten(1).tanh(); };
  return {
      {"Linear",
       {{3, 4}, {3}},
       {1, 4},
       [](const Tensor& x, const Parameters& p) { return torch::linear(x, p[0], p[1]); },
       [] { return in_one_block(15); }},
      {"LinearWithoutBias",
       {{3, 4}},
       {1, 4},
       [](const Tensor& x, const Parameters& p) { return torch::linear(x, p[0]); },
       [] { return in_one_block(12); }},
      {"InputByOutput",
       {{4, 3}, {3}},
       {1, 4},
       [](const Tensor& x, const Parameters& p) { return torch::addmm(p[1], x, p[0]); },
       [] { return in_one_block(15); }},
      {"Convolution",
       {{3, 2, 2, 3}, {3}},
       {1, 2, 2, 3},
       [flat](const Tensor& x, const Parameters& p) { return flat(torch::conv2d(x, p[0], p[1])); },
       [] { return in_one_block(39); }},
      {"GroupedConvolution",
       {{4, 2, 3}, {4}},
       {1, 4, 3},
       [flat](const Tensor& x, const Parameters& p) {
         return flat(torch::conv1d(x, p[0], p[1], torch::IntArrayRef{1}, torch::IntArrayRef{0},
                                   torch::IntArrayRef{1}, 2));
       },
       [] {
         return torch::cat({torch::arange(4).floor_divide(2).repeat_interleave(6),
                            torch::arange(4).floor_divide(2)});
       }},
      {"TransposedConvolution",
       {{2, 3, 2}, {3}},
       {1, 2, 1},
       [flat](const Tensor& x, const Parameters& p) {
         return flat(torch::conv_transpose1d(x, p[0], p[1]));
       },
       [] {
         return torch::cat({torch::zeros({12}, torch::kLong), torch::full({3}, -1)});
       }},
  };
}

struct SingleRows : ::testing::TestWithParam<SingleRow> {};

TEST_P(SingleRows, GiveTheOuterProduct) {
  std::vector<Tensor> parameters;
  for (const auto& shape : GetParam().shapes) {
    parameters.push_back(parameter(shape, 10 + parameters.size()));
  }
  const auto z = GetParam().forward(randn(GetParam().input, 5), parameters);
  const LossGraph graph(gaussian_loss(z), parameters);
  const auto g = flat(pulled_back_noise(graph, z, parameters));
  const auto blocks = GetParam().blocks();
  const auto same = blocks.unsqueeze(1).eq(blocks) & blocks.ge(0);
  const auto kept = same | torch::eye(g.numel(), torch::kBool);
  EXPECT_LT(relative_error(matrix_of(factors_of(graph), graph), g.outer(g) * kept), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Layers, SingleRows, ::testing::ValuesIn(single_rows()),
                         [](const auto& info) { return info.param.name; });

// ---- Many rows, against the definitions. ----

struct Perceptron {
  Tensor w = parameter({4, 5}, 1), b = parameter({4}, 2), v = parameter({3, 4}, 3);
  Tensor x = randn({6, 5}, 4);
  Tensor s = torch::linear(x, w, b), h = s.tanh(), z = torch::linear(h, v);
  LossGraph graph{nll(Bernoulli(z), torch::ones_like(z)), {w, b, v}};
  Tensor delta_s, delta_z;
  Perceptron() {
    const auto deltas = pulled_back_noise(graph, z, {s, z});
    delta_s = deltas[0];
    delta_z = deltas[1];
  }
  Tensor activations(const Tensor& a) const { return sum_of_squares(a.detach()) / 6; }
};

TEST(KroneckerFactorsTest, OfAPerceptronAreThoseOfTheirDefinition) {
  const Perceptron net;
  const auto first = kronecker(net.activations(with_ones(net.x)), sum_of_squares(net.delta_s));
  const auto second = kronecker(net.activations(net.h), sum_of_squares(net.delta_z));
  EXPECT_LT(relative_error(matrix_of(factors_of(net.graph), net.graph),
                           block_diagonal({on_parameters(first, 4, 5), second})),
            kRounding);
}

TEST(KroneckerFactorsTest, DampedInverseIsTheExplicitOne) {
  const Perceptron net;
  const auto inverse = matrix_of(damped_inverse(factors_of(net.graph), kLambda), net.graph);
  const auto first =
      factored_tikhonov(net.activations(with_ones(net.x)), sum_of_squares(net.delta_s), kLambda);
  const auto second =
      factored_tikhonov(net.activations(net.h), sum_of_squares(net.delta_z), kLambda);
  EXPECT_LT(relative_error(inverse, block_diagonal({on_parameters(first, 4, 5), second})),
            kInverted);
}

// Ω = mean over examples of Σ_t a_t a_tᵀ and Γ = (1/|T|) Σ δ_t δ_tᵀ, t over positions (Grosse &
// Martens 2016), with patches by LibTorch's unfold.
TEST(KroneckerFactorsTest, OfAConvolutionAreThoseOfGrosseAndMartens) {
  const auto w = parameter({3, 2, 2, 3}, 1), b = parameter({3}, 2);
  const auto x = randn({4, 2, 5, 6}, 3);
  const auto s = torch::conv2d(x, w, b, /*stride=*/{2, 1}, /*padding=*/{1, 0});
  const auto z = s.tanh().flatten(1);
  const LossGraph graph(gaussian_loss(z), {w, b});
  const auto delta = pulled_back_noise(graph, z, {s})[0];
  const auto patches = torch::im2col(x, {2, 3}, {1, 1}, {1, 0}, {2, 1});  // [4, 12, T]
  const auto T = patches.size(2);
  const auto omega = sum_of_squares(with_ones(patches.transpose(1, 2).flatten(0, 1))) / 4;
  const auto gamma = sum_of_squares(delta.flatten(2).transpose(1, 2).flatten(0, 1)) / T;
  const auto expected = on_parameters(kronecker(omega, gamma), 3, 12);
  EXPECT_LT(relative_error(matrix_of(factors_of(graph), graph), expected), kRounding);
}

TEST(KroneckerFactorsTest, OfATransposedConvolutionHaveItsInputsAsActivations) {
  const auto w = parameter({2, 3, 4}, 1), x = randn({5, 2, 6}, 2);
  const LossGraph graph(gaussian_loss(torch::conv_transpose1d(x, w).flatten(1)), {w});
  const auto expected = sum_of_squares(x.transpose(1, 2).flatten(0, 1)) / (5 * 6);
  EXPECT_LT(relative_error(factors_of(graph).blocks.at(0).activations[0], expected), kRounding);
}

TEST(KroneckerFactorsTest, OfARecurrentNetPoolItsTimeSteps) {
  const auto w = parameter({3, 3}, 1), b = parameter({3}, 2);
  const auto x = randn({2, 4, 3}, 3);  // time, examples
  const auto s0 = torch::linear(x[0], w, b), h = s0.tanh() + x[1];
  const auto z = torch::linear(h, w, b);
  const LossGraph graph(gaussian_loss(z), {w, b});
  const auto deltas = pulled_back_noise(graph, z, {s0, z});
  const auto a = sum_of_squares(with_ones(torch::cat({x[0], h.detach()}))) / 8;
  const auto g = sum_of_squares(torch::cat(deltas));
  EXPECT_LT(
      relative_error(matrix_of(factors_of(graph), graph), on_parameters(kronecker(a, g), 3, 3)),
      kRounding);
}

// ---- What is left to the diagonal. ----

TEST(KroneckerFactorsTest, UncoveredParametersHaveTheDiagonal) {
  const auto scale = parameter({4}, 1), w = parameter({3, 4}, 2), b = parameter({4}, 3);
  const auto z = torch::linear(randn({5, 4}, 4) * scale + b, w);
  const LossGraph graph(gaussian_loss(z), {scale, w, b});
  const auto factors = factors_of(graph);
  ASSERT_EQ(factors.blocks.size(), 1u);
  EXPECT_EQ(factors.blocks[0].weight, 1u);
  const auto gradients = pulled_back_noise(graph, z, {scale, b});
  EXPECT_LT(relative_error(factors.diagonal.narrow(0, 0, 4), gradients[0].square()), kRounding);
  EXPECT_LT(relative_error(factors.diagonal.narrow(0, 16, 4), gradients[1].square()), kRounding);
  const auto inverse = damped_inverse(factors, kLambda).diagonal;
  EXPECT_LT(relative_error(inverse.narrow(0, 0, 4), 1 / (gradients[0].square() + kLambda)),
            kRounding);
}

TEST(KroneckerFactorsTest, TheDiagonalIsThatOfTheFisherMatrixInTheMean) {
  const auto scale = parameter({4}, 1);
  const auto z = randn({5, 4}, 4) * scale;
  const LossGraph graph(gaussian_loss(z), {scale});
  constexpr int64_t kSamples = 1000;
  const auto d = factors_of(graph, KroneckerOptions().samples(kSamples)).diagonal;
  const auto expected = dense(fisher(graph)).diagonal();
  // √(2/samples) of an entry; 5 deviations.
  EXPECT_LT(((d - expected) / expected).abs().max().item<double>(), 5 * std::sqrt(2. / kSamples));
}

TEST(KroneckerFactorsTest, AWeightUsedBothWaysIsLeftToTheDiagonal) {
  const auto w = parameter({3, 4}, 1);
  const auto z = torch::linear(randn({5, 4}, 2), w).tanh().mm(w);
  const LossGraph graph(gaussian_loss(z), {w});
  const auto factors = factors_of(graph);
  EXPECT_TRUE(factors.blocks.empty());
  EXPECT_LT(
      relative_error(factors.diagonal, pulled_back_noise(graph, z, {w})[0].flatten().square()),
      kRounding);
}

TEST(KroneckerFactorsTest, ABiasOfTwoWeightsIsLeftToTheDiagonal) {
  const auto w = parameter({3, 3}, 1), v = parameter({3, 3}, 2), b = parameter({3}, 3);
  const auto z = torch::linear(torch::linear(randn({5, 3}, 4), w, b).tanh(), v, b);
  const LossGraph graph(gaussian_loss(z), {w, v, b});
  const auto factors = factors_of(graph);
  ASSERT_EQ(factors.blocks.size(), 2u);
  for (const auto& block : factors.blocks) EXPECT_FALSE(block.bias);
  EXPECT_LT(relative_error(factors.diagonal.narrow(0, 18, 3),
                           pulled_back_noise(graph, z, {b})[0].square()),
            kRounding);
}

TEST(KroneckerFactorsTest, LargerFactorsThanAllowedAreLeftToTheDiagonal) {
  const Perceptron net;
  const auto factors = factors_of(net.graph, KroneckerOptions().largest(5));
  ASSERT_EQ(factors.blocks.size(), 1u);  // the first layer's A is [6, 6]
  EXPECT_EQ(factors.blocks[0].weight, 2u);
}

// ---- Any network. ----

struct FactorsOfNetworks : ::testing::TestWithParam<ExampleNetworkCase> {
  ExampleNetwork network = GetParam().make();
  Tensor z = network.forward(network.x);
  LossGraph graph{nll(Bernoulli(z), torch::ones_like(z)), network.parameters};
};

TEST_P(FactorsOfNetworks, HaveAPositiveDefiniteInverse) {
  const auto M = matrix_of(damped_inverse(factors_of(graph), kLambda), graph);
  EXPECT_LT(relative_error(M.t(), M), kInverted);
  EXPECT_GT(torch::linalg_eigvalsh(M).min().item<double>(), 0);
}

TEST_P(FactorsOfNetworks, LeaveAllOtherParametersToTheDiagonal) {
  const auto factors = factors_of(graph);
  const auto noise = output_noise(graph, seeded(kSeed)).front();
  std::set<size_t> in_a_block;
  for (const auto& block : factors.blocks) {
    in_a_block.insert(block.weight);
    if (block.bias) in_a_block.insert(*block.bias);
  }
  const auto pieces = graph.parameters().views(factors.diagonal);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const auto& parameter = network.parameters[i];
    auto expected = torch::zeros_like(pieces[i]);
    if (parameter.requires_grad() && !in_a_block.contains(i)) {
      expected = gradient_of((z * noise).sum(), {parameter}).square().view_as(expected);
    }
    EXPECT_LT(relative_error(pieces[i], expected), kRounding) << "parameter " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, FactorsOfNetworks, ::testing::ValuesIn(example_networks()),
                         ByName());

// ---- A share of the rows. ----

TEST(KroneckerFactorsTest, OfAShareOfTheRowsAreUnbiased) {
  const Perceptron net;
  constexpr int64_t kSamples = 1500;
  const auto options = KroneckerOptions().samples(kSamples);
  const auto all = factors_of(net.graph, options);
  const auto part = factors_of(net.graph, KroneckerOptions(options).share(0.5));
  for (size_t k = 0; k < all.blocks.size(); ++k) {
    // Three of six rows are off by about their own size.
    const double allowed = 5 / std::sqrt(kSamples);
    const auto &a = all.blocks[k], &b = part.blocks[k];
    EXPECT_LT(relative_error(b.activations, a.activations), allowed);
    EXPECT_LT(relative_error(b.gradients, a.gradients), allowed);
  }
}

TEST(KroneckerFactorsTest, OfAShareHaveItsRank) {
  const Perceptron net;
  const auto factors = factors_of(net.graph, KroneckerOptions().share(0.34));  // 2 of 6 rows
  for (const auto& block : factors.blocks) {
    EXPECT_EQ(torch::linalg_matrix_rank(block.activations[0]).item<int64_t>(), 2);
  }
}

// ---- Damping. ----

KroneckerFactors one_block(const Tensor& a, const Tensor& g) {
  const auto size = a.size(0) * g.size(0);
  return {{{0, std::nullopt, false, a.unsqueeze(0), g.unsqueeze(0)}},
          torch::zeros({size}, a.options())};
}

Tensor inverse_of_one_block(const Tensor& a, const Tensor& g, double lambda) {
  const auto inverse = damped_inverse(one_block(a, g), lambda).blocks[0];
  return kronecker(inverse.activations[0], inverse.gradients[0]);
}

TEST(KroneckerFactorsTest, DampingIsSplitAlikeInWhateverUnits) {
  const auto a = random_spd(4, 100, 1), g = random_spd(3, 100, 2);
  const auto M = inverse_of_one_block(a, g, kLambda);
  EXPECT_LT(relative_error(inverse_of_one_block(1e6 * a, 1e-6 * g, kLambda), M), kInverted);
  EXPECT_LT(relative_error(M, factored_tikhonov(a, g, kLambda)), kInverted);
}

TEST(KroneckerFactorsTest, ADeadLayerIsDampedAlone) {
  const auto a = random_spd(4, 100, 1), zero = torch::zeros({3, 3}, torch::kDouble);
  const auto expected = torch::eye(12, torch::kDouble) / kLambda;
  EXPECT_LT(relative_error(inverse_of_one_block(a, zero, kLambda), expected), kRounding);
  EXPECT_LT(relative_error(inverse_of_one_block(zero, a, kLambda), expected), kRounding);
}

TEST(KroneckerFactorsTest, RoundingDoesNotMakeTheInverseIndefinite) {
  const auto rows = randn({2, 6}, 1).to(torch::kFloat);
  const auto a = rows.t().mm(rows);  // of rank 2, its other eigenvalues ±1e-7
  const auto inverse = damped_inverse(one_block(a, a), 1e-20).blocks[0];
  for (const auto& factor : {inverse.activations, inverse.gradients}) {
    const auto values = torch::linalg_eigvalsh(factor.to(torch::kDouble));
    EXPECT_TRUE(all_finite(values));
    EXPECT_GT(values.min().item<double>(), 0);
  }
}

// ---- Faults. ----

TEST(KroneckerFactorsTest, OptionsOutOfRangeThrow) {
  const Perceptron net;
  expect_error([&] { factors_of(net.graph, KroneckerOptions().samples(0)); }, "at least 1 sample");
  expect_error([&] { factors_of(net.graph, KroneckerOptions().share(0)); }, "in (0, 1]");
  expect_error([&] { factors_of(net.graph, KroneckerOptions().share(1.5)); }, "in (0, 1]");
  expect_error([&] { damped_inverse(factors_of(net.graph), 0); }, "lambda > 0");
}

TEST(KroneckerFactorsTest, WithoutALikelihoodThrow) {
  const auto w = parameter({3, 4}, 1);
  const auto z = natgrad::outputs(torch::linear(randn({5, 4}, 2), w));
  const LossGraph graph(z.square().sum(), {w});
  expect_error([&] { factors_of(graph); }, "needs a likelihood");
}

}  // namespace
}  // namespace natgrad::testing::kronecker_factors_test
