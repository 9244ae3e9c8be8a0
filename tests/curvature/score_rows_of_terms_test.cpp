// Score rows of several terms, and of examples that hold up to four observations: one row for each
// observation, those of a network that is pulled back through once for each.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/curvature/score_rows_or_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/poisson.h>

#include "curvature/scored_examples.h"
#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::score_rows_of_terms_test {
namespace {

namespace F = torch::nn::functional;
namespace nn = torch::nn;

// Sums of a few hundred products in double, in another order.
constexpr double kRounding = 1e-10;
// The same in float32, over the steps of an LSTM.
constexpr double kFloat = 1e-4;

// ---- Networks with two heads: a of [4, 3], b of [4, 2]. ----

struct Headed {
  std::vector<Tensor> parameters;
  std::function<Outputs()> forward;
};

struct HeadedCase {
  std::string name;
  std::function<Headed()> make;
};

Headed plain() {
  const auto x = randn({kExamples, 3}, 1701);
  const auto w = parameter({5, 3}, 1702), bias = parameter({5}, 1703);
  const auto u = parameter({3, 5}, 1704), v = parameter({2, 5}, 1705), c = parameter({2}, 1706);
  return {{w, bias, u, v, c}, [=]() -> Outputs {
            const auto h = torch::linear(x, w, bias).tanh();
            return {torch::linear(h, u), torch::linear(h, v, c)};
          }};
}

Headed one_output_in_two_parts() {
  const auto network = tanh_network();
  return {network.parameters, [=]() -> Outputs {
            const auto z = network.forward();
            return {z.narrow(1, 0, 3), z.narrow(1, 3, 2)};
          }};
}

Headed head_above_a_head() {
  const auto x = randn({kExamples, 3}, 1711);
  const auto w = parameter({3, 3}, 1712), v = parameter({2, 3}, 1713);
  return {{w, v}, [=]() -> Outputs {
            const auto a = torch::linear(x, w);
            return {a, torch::linear(a.tanh(), v)};
          }};
}

Headed tied_weights() {
  const auto x = randn({kExamples, 3}, 1721);
  const auto w = parameter({5, 3}, 1722), v = parameter({2, 5}, 1723);
  return {{w, v}, [=]() -> Outputs {
            const auto h = x.mm(w.t()).tanh();
            return {h.mm(w), h.mm(v.t())};
          }};
}

Headed tied_embedding() {
  const auto words = torch::tensor({{2, 0}, {1, 1}, {0, 2}, {2, 2}});
  const auto table = parameter({3, 4}, 1731), v = parameter({2, 4}, 1732);
  return {{table, v}, [=]() -> Outputs {
            const auto h = torch::embedding(table, words).sum(1).tanh();
            return {h.mm(table.t()), torch::linear(h, v)};
          }};
}

Headed embedding_with_positions() {
  const auto words = torch::tensor({{2, 0}, {1, 1}, {0, 5}, {6, 2}});
  const auto table = parameter({7, 4}, 1741), places = parameter({2, 4}, 1742);
  const auto u = parameter({3, 4}, 1743), v = parameter({2, 4}, 1744);
  return {{table, places, u, v}, [=]() -> Outputs {
            const auto h = (torch::embedding(table, words) + places).tanh().mean(1);
            return {torch::linear(h, u), torch::linear(h, v)};
          }};
}

Headed convolution() {
  const auto x = randn({kExamples, 1, 4, 4}, 1751);
  const auto kernel = parameter({2, 1, 3, 3}, 1752), bias = parameter({2}, 1753);
  const auto u = parameter({3, 8}, 1754), v = parameter({2, 8}, 1755);
  return {{kernel, bias, u, v}, [=]() -> Outputs {
            const auto h = torch::conv2d(x, kernel, bias).tanh().flatten(1);
            return {torch::linear(h, u), torch::linear(h, v)};
          }};
}

/// x: [T, N, in] or [N, T, in].
Headed lstm(bool batch_first, torch::Dtype dtype = torch::kDouble) {
  torch::manual_seed(1);
  nn::LSTM lstm(nn::LSTMOptions(3, 4).batch_first(batch_first));
  nn::Linear a(4, 3), b(4, 2);
  auto parameters = lstm->parameters();
  for (auto module : {a, b}) {
    for (const auto& p : module->parameters()) parameters.push_back(p);
  }
  lstm->to(dtype);
  a->to(dtype);
  b->to(dtype);
  const auto x = randn({5, kExamples, 3}, 1761).to(dtype);
  return {parameters, [=]() mutable -> Outputs {
            const auto all = std::get<0>(lstm->forward(batch_first ? x.transpose(0, 1) : x));
            const auto h = batch_first ? all.select(1, -1) + all.select(1, 2) : all[-1] + all[2];
            return {a->forward(h), b->forward(h)};
          }};
}

std::vector<HeadedCase> headed_networks() {
  return {{"Plain", plain},
          {"OneOutputInTwoParts", one_output_in_two_parts},
          {"HeadAboveAHead", head_above_a_head},
          {"TiedWeights", tied_weights},
          {"TiedEmbedding", tied_embedding},
          {"EmbeddingWithPositions", embedding_with_positions},
          {"Convolution", convolution},
          {"LstmTimeMajor", [] { return lstm(false); }},
          {"LstmBatchFirst", [] { return lstm(true); }}};
}

// ---- Sums of terms of these heads. ----

using Term = std::function<Tensor(const Outputs& z)>;

struct TermsCase {
  std::string name;
  std::vector<Term> terms;
  int64_t observations;  ///< of an example, all terms together
  bool is_exact;         ///< whether each is of one output, so that the rows are the Fisher matrix
};

Tensor bits() { return randn({kExamples, 2}, 1771).gt(0).to(torch::kDouble); }

Tensor cross_entropy(const Outputs& z) {
  return F::cross_entropy(z[0], torch::tensor({0, 2, 1, 2}));
}

Tensor coins(const Outputs& z) {
  return 0.3 * F::binary_cross_entropy_with_logits(z[1], bits().to(z[1].dtype()));
}

Tensor square(const Outputs& z) {
  const auto target = randn({kExamples}, 1772).to(z[1].dtype());
  return F::mse_loss(z[1].select(1, 0), target);
}

Tensor count(const Outputs& z) {
  const auto y = torch::tensor({0, 3, 1, 0}).to(z[1].dtype());
  return 2 * nll(Poisson(z[1].select(1, 1)), y);
}

Tensor weighted_coins(const Outputs& z) {
  const auto weights = torch::rand({kExamples, 3}, seeded(1773), torch::kDouble).to(z[0].dtype());
  const auto options = F::BinaryCrossEntropyWithLogitsFuncOptions().weight(weights);
  return F::binary_cross_entropy_with_logits(z[0], torch::ones_like(z[0]), options);
}

std::vector<TermsCase> sums_of_terms() {
  return {{"TwoObservations", {coins}, 2, true},
          {"ThreeWeightedObservations", {weighted_coins}, 3, true},
          {"ClassesAndASquare", {cross_entropy, square}, 2, false},
          {"ClassesAndCoins", {cross_entropy, coins}, 3, false},
          {"ClassesAndTwoFamilies", {cross_entropy, square, count}, 3, false},
          {"SquareAndCount", {square, count}, 2, true},
          {"FourObservationsOfTwoTerms", {weighted_coins, count}, 4, true}};
}

Tensor sum_of(const std::vector<Term>& terms, const Outputs& z) {
  std::vector<Tensor> parts;
  for (const auto& term : terms) parts.push_back(term(z));
  return torch::stack(parts).sum();
}

detail::TargetedRows scored(const LossGraph& graph) { return {detail::score_seed(graph), graph}; }

using Case = std::tuple<HeadedCase, TermsCase>;

struct RowsOfTerms : ::testing::TestWithParam<Case> {
  Headed network = std::get<0>(GetParam()).make();
  TermsCase sum = std::get<1>(GetParam());
  Outputs z = network.forward();
  Tensor loss = sum_of(sum.terms, z);
  LossGraph graph{loss, network.parameters};
};

TEST_P(RowsOfTerms, AreThoseOfTheSingleTerms) {
  const auto C = dense(score_rows(graph));
  auto expected = torch::zeros_like(C);
  for (const auto& term : sum.terms) {
    expected += dense(score_rows(LossGraph(term(z), network.parameters)));
  }
  EXPECT_LT(relative_error(C, expected), kRounding);
}

TEST_P(RowsOfTerms, OfSingleOutputsAreTheFisherMatrix) {
  const auto exact = relative_error(dense(score_rows(graph)), dense(fisher(graph)));
  EXPECT_EQ(exact < kRounding, sum.is_exact) << exact;
}

TEST_P(RowsOfTerms, TellTheGradient) {
  const auto rows = scored(graph);
  EXPECT_EQ(rows.targets().numel(), kExamples * sum.observations);
  EXPECT_LT(relative_error(-rows.rows().multiply_transposed(rows.targets()),
                           gradient_of(loss, network.parameters)),
            kRounding);
}

TEST_P(RowsOfTerms, AreTheRootOfTheMatrix) {
  const auto targeted = scored(graph);
  const auto& rows = targeted.rows();
  const auto R =
      matrix_of([&](const Tensor& v) { return rows.multiply(v); }, graph.parameters().size());
  EXPECT_LT(relative_error(dense(score_rows(graph)), R.t().mm(R)), kRounding);
  EXPECT_LT(relative_error(rows.squared_norms(), R.square().sum(1)), kRounding);
  EXPECT_LT(relative_error(rows.gram(), R.mm(R.t())), kRounding);
  const auto u = randn({rows.rows()}, 1774);
  EXPECT_LT(relative_error(rows.multiply_transposed(u), R.t().mv(u)), kRounding);
}

// Σ s‖R‖²/Σ s over the rows, times the rows of an example.
TEST_P(RowsOfTerms, NoiseCountsEachExampleOnce) {
  const auto seed = detail::score_seed(graph);
  const auto norms = detail::TargetedRows(seed, graph).rows().squared_norms();
  const auto expected = double(sum.observations) * seed.weights.dot(norms) / seed.weights.sum();
  EXPECT_LT(relative_error(ScoreRows().at(graph).noise(seeded(1)), expected), kRounding);
}

TEST_P(RowsOfTerms, AreTheDefaultsChoice) {
  EXPECT_EQ(ScoreRowsOrFisher().at(graph).choice, "score rows");
}

INSTANTIATE_TEST_SUITE_P(Cases, RowsOfTerms,
                         ::testing::Combine(::testing::ValuesIn(headed_networks()),
                                            ::testing::ValuesIn(sums_of_terms())),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + std::get<1>(info.param).name;
                         });

// ---- How often an example counts. ----

struct RowsOfTermsTest : ::testing::Test {
  const Tensor w = parameter({5, 3}, 1781), v = parameter({3, 5}, 1782);
  const Tensor x = randn({8, 3}, 1783), y = torch::tensor({0, 2, 1, 2, 0, 0, 1, 2});

  Tensor loss_on(const Tensor& inputs, const Tensor& labels) const {
    return F::cross_entropy(torch::linear(torch::linear(inputs, w).tanh(), v), labels);
  }
  CurvatureAt at(const Tensor& loss) const { return ScoreRows().at(LossGraph(loss, {w, v})); }
  double noise(const Tensor& loss) const { return at(loss).noise(seeded(1)).item<double>(); }
};

TEST_F(RowsOfTermsTest, MicroBatchesAreTheWholeBatch) {
  const auto whole = at(loss_on(x, y));
  for (const int64_t count : {2, 4}) {
    std::vector<Tensor> losses;
    for (int64_t k = 0; k < count; ++k) {
      losses.push_back(loss_on(x.chunk(count)[k].clone(), y.chunk(count)[k].clone()));
    }
    const auto pieces = at(torch::stack(losses).mean());
    EXPECT_LT(relative_error(dense(pieces.matrix), dense(whole.matrix)), kRounding);
    EXPECT_LT(relative_error(pieces.noise(seeded(1)), whole.noise(seeded(1))), kRounding);
  }
}

TEST_F(RowsOfTermsTest, TwiceTheSameHeadIsTheSameNoiseTwice) {
  const auto twice = [&](const Tensor& input) {
    const auto h = torch::linear(input, w).tanh();
    const auto z = torch::linear(h, v);
    return F::cross_entropy(z, y) + F::cross_entropy(torch::linear(h, v), y);
  };
  EXPECT_NEAR(noise(twice(x)) / noise(loss_on(x, y)), 2, kRounding);
}

// Of a table so large that no row of it is formed: products against those of the single terms.
TEST(RowsOfTermsOfTablesTest, AreThoseOfTheSingleTerms) {
  const auto table = parameter({9000, 8}, 1791), u = parameter({3, 8}, 1792);
  const auto words = torch::tensor({{2, 8000}, {1, 1}, {8000, 5}, {6, 2}});
  const auto h = torch::embedding(table, words).tanh().mean(1);
  const Outputs z = {torch::linear(h, u), h.narrow(1, 0, 2)};
  const std::vector<Term> terms = {cross_entropy, coins};
  const auto loss = sum_of(terms, z);
  const LossGraph graph(loss, {table, u});
  const auto direction = randn({graph.parameters().size()}, 1793);
  auto expected = torch::zeros_like(direction);
  for (const auto& term : terms) {
    expected += score_rows(LossGraph(term(z), {table, u})).multiply(direction);
  }
  EXPECT_LT(relative_error(score_rows(graph).multiply(direction), expected), kRounding);
  const auto rows = scored(graph);
  EXPECT_LT(relative_error(-rows.rows().multiply_transposed(rows.targets()),
                           gradient_of(loss, {table, u})),
            kRounding);
  EXPECT_LT(relative_error(rows.rows().gram().diagonal(), rows.rows().squared_norms()), kRounding);
}

// In float32 LibTorch runs the LSTM as one op.
TEST(RowsOfTermsOfLstmTest, OfOneOpAreThoseOfItsSteps) {
  for (const bool batch_first : {false, true}) {
    const auto fused = lstm(batch_first, torch::kFloat), exact = lstm(batch_first);
    const auto matrix = [](const Headed& network) {
      const auto loss = sum_of({cross_entropy, coins}, network.forward());
      return dense(score_rows(LossGraph(loss, network.parameters))).to(torch::kDouble);
    };
    EXPECT_LT(relative_error(matrix(fused), matrix(exact)), kFloat);
  }
}

}  // namespace
}  // namespace natgrad::testing::score_rows_of_terms_test
