#include "graph/captured_rows.h"
#include <natgrad/graph/loss_graph.h>
#include "graph/loss_graph_state.h"

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

// R of more rows than a band of its Gram matrix has, against a backward pass for each row.

namespace natgrad::testing::captured_rows_test {
namespace {

// Sums of a few hundred products in double, in another order.
constexpr double kRounding = 1e-12;

/// z of [N, 2] from x of [N, 4].
struct RowsCase {
  std::string name;
  std::vector<Tensor> parameters;
  std::function<Tensor(const Tensor& x)> forward;
};

void PrintTo(const RowsCase& rows, std::ostream* out) { *out << rows.name; }

std::vector<RowsCase> rows_cases() {
  const auto w = parameter({3, 4}, 1), b = parameter({3}, 2), v = parameter({2, 3}, 3);
  const auto kernel = parameter({2, 1, 2}, 4), c = parameter({2}, 5), top = parameter({2, 6}, 6);
  const auto by_hand = parameter({4, 2}, 7), frozen = randn({3, 4}, 8);
  // Of 2^17 numbers in the rows of 127 examples; small for one example.
  const auto table = parameter({600, 2}, 14), other = parameter({600, 2}, 15);
  const auto small = parameter({40, 2}, 16), wide = parameter({50, 400}, 17);
  const auto tall = parameter({14000, 2}, 18);
  const auto unit = [](const Tensor& x) {  // a number below 40 from each of x
    return (1e3 * x).floor().remainder(40).to(torch::kLong);
  };
  return {
      {"Factored",
       {w, b, v},
       [=](auto& x) { return torch::linear(torch::linear(x, w, b).tanh(), v); }},
      {"InputByOutput", {by_hand}, [=](auto& x) { return x.mm(by_hand); }},
      {"BiasAlone",
       {b, v},
       [=](auto& x) { return torch::linear(torch::linear(x, frozen, b).tanh(), v); }},
      {"Explicit",
       {kernel, c, top},
       [=](auto& x) {
         return torch::linear(torch::conv1d(x.unsqueeze(1), kernel, c).tanh().flatten(1), top);
       }},
      {"OneLookup",
       {table, other},
       [=](auto& x) {
         return torch::embedding(table, unit(x.select(1, 0))) * other.index({unit(x.select(1, 1))});
       }},
      {"SmallTable",
       {small},
       [=](auto& x) { return torch::embedding(small, unit(x)).tanh().sum(1).sin(); }},
      {"TouchedRowsOfSeveralBlocks",
       {wide},
       [=](auto& x) {
         const auto words = unit(torch::cat({x, x.sin(), x.cos(), x.exp()}, 1));
         return torch::embedding(wide, words).tanh().sum(1).view({-1, 2, 200}).sum(2).sin();
       }},
      {"PairsOfSeveralBlocks",
       {tall},
       [=](auto& x) {
         const auto words = unit(x.unsqueeze(2) * torch::arange(1, 14)).flatten(1);
         return torch::embedding(tall, words).tanh().sum(1).sin();
       }},
      {"RaggedBags",
       {table},
       [=](auto& x) {
         const auto begins =
             4 * torch::arange(x.size(0)) - (torch::arange(x.size(0)) > 0).to(torch::kLong);
         return std::get<0>(torch::embedding_bag(table, unit(x).flatten(), begins)).sin();
       }},
      {"ManyLookups",
       {table},
       [=](auto& x) {
         const auto words = unit(torch::cat({x, x.sin(), x.cos(), x.exp()}, 1));
         return torch::embedding(table, words).tanh().sum(1).sin();
       }},
      {"TwoLookups",
       {table},
       [=](auto& x) {
         const auto one = table.index({unit(x.select(1, 0)).div(20, "floor")});
         return one.sin() * table.index({unit(x.select(1, 1)).div(20, "floor")});
       }},
      {"SeveralLookups",
       {table},
       [=](auto& x) {
         const auto words = torch::embedding(table, unit(x), /*padding_idx=*/3);
         return (words.tanh().sum(1) + table.index({unit(x.select(1, 0))})).sin();
       }},
      {"TiedAndUnused",
       {by_hand, parameter({5}, 9)},
       [=](auto& x) { return x.mm(by_hand).tanh() + x.sin().mm(by_hand); }},
  };
}

struct CapturedRowsTest : ::testing::TestWithParam<RowsCase> {
  /// Row i: a backward pass from example i alone.
  static Tensor by_passes(const Tensor& z, const Tensor& u) {
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < z.size(0); ++i) {
      rows.push_back(gradient_of((z[i] * u[i]).sum(), GetParam().parameters));
    }
    return torch::stack(rows);
  }
  static void expect_the_rows(int64_t examples) {
    const auto z = GetParam().forward(randn({examples, 4}, 10));
    const auto u = randn(z.sizes(), 11);
    const LossGraph graph(torch::mse_loss(z, torch::zeros_like(z)), GetParam().parameters);
    const detail::CapturedRows rows({{{detail::output_edges(graph), {u}}}}, graph);
    const auto R = by_passes(z, u);
    const auto v = randn({R.size(1)}, 12), left = randn({examples}, 13);
    // Norms before the Gram matrix is there, and from its diagonal.
    EXPECT_LT(relative_error(rows.squared_norms(), R.square().sum(1)), kRounding) << examples;
    EXPECT_LT(relative_error(rows.gram(), R.mm(R.t())), kRounding) << examples;
    EXPECT_LT(relative_error(rows.squared_norms(), R.square().sum(1)), kRounding) << examples;
    EXPECT_LT(relative_error(rows.multiply(v), R.mv(v)), kRounding) << examples;
    EXPECT_LT(relative_error(rows.multiply_transposed(left), R.t().mv(left)), kRounding);
  }
};

TEST_P(CapturedRowsTest, AreThoseOfOnePassEach) {
  for (const int64_t examples : {1, 127, 128, 129, 300}) expect_the_rows(examples);
}

INSTANTIATE_TEST_SUITE_P(Networks, CapturedRowsTest, ::testing::ValuesIn(rows_cases()), ByName());

}  // namespace
}  // namespace natgrad::testing::captured_rows_test
