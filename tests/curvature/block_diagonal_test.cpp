#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::block_diagonal_test {
namespace {

// Sums of products in double, in another order.
constexpr double kRounding = 1e-11;

struct BlockDiagonalTest : ::testing::Test {
  Problem problem = make_problem(loss_named("CrossEntropyMean"));
  Tensor full = dense(fisher(problem.graph));
  const std::vector<Tensor>& parameters = problem.network.parameters;

  /// 1 where two entries' parameters have the same block number.
  Tensor mask(const std::vector<int64_t>& blocks) const {
    std::vector<Tensor> numbers;
    for (size_t i = 0; i < blocks.size(); ++i) {
      numbers.push_back(torch::full({parameters[i].numel()}, blocks[i], torch::kLong));
    }
    const auto number = torch::cat(numbers);
    return number.unsqueeze(0).eq(number.unsqueeze(1)).to(torch::kDouble);
  }
};

TEST_F(BlockDiagonalTest, KeepsOneBlockForEachParameter) {
  ASSERT_EQ(parameters.size(), 4);
  const auto blocks = BlockDiagonal(Fisher()).at(problem.graph).matrix;
  EXPECT_LT(relative_error(dense(blocks), full * mask({0, 1, 2, 3})), kRounding);
}

TEST_F(BlockDiagonalTest, KeepsOneBlockForEachGroup) {
  const auto layers = BlockDiagonal(Fisher())
                          .group({parameters[0], parameters[1]})
                          .group({parameters[2], parameters[3]});
  EXPECT_LT(relative_error(dense(layers.at(problem.graph).matrix), full * mask({0, 0, 1, 1})),
            kRounding);
  const auto apart = BlockDiagonal(Fisher()).group({parameters[0], parameters[3]});
  EXPECT_LT(relative_error(dense(apart.at(problem.graph).matrix), full * mask({0, 1, 2, 0})),
            kRounding);
}

TEST_F(BlockDiagonalTest, OfAnyOperator) {
  const auto C = from_dense(symmetric_with_spectrum(randn({problem.size()}, 1), 2));
  const auto blocks = block_diagonal(C, problem.graph.parameters(), {1, 1, 0, 0});
  EXPECT_LT(relative_error(dense(blocks), dense(C) * mask({1, 1, 0, 0})), kRounding);
}

TEST_F(BlockDiagonalTest, AsksOfALossWhatItsPartAsks) {
  EXPECT_TRUE(BlockDiagonal(Fisher()).needs_terms());
  EXPECT_FALSE(BlockDiagonal(Hessian()).needs_terms());
  EXPECT_FALSE(BlockDiagonal(Hessian()).needs_penalties());
  EXPECT_TRUE(identical(BlockDiagonal(Fisher()).at(problem.graph).noise(seeded(1)),
                        Fisher().at(problem.graph).noise(seeded(1))));
}

TEST_F(BlockDiagonalTest, MalformedBlocksThrow) {
  const auto C = fisher(problem.graph);
  expect_error([&] { block_diagonal(C, problem.graph.parameters(), {0, 1}); }, "4 parameters");
  expect_error([&] { block_diagonal(C, problem.graph.parameters(), {0, 1, -1, 2}); }, ">= 0");
  expect_error([&] { BlockDiagonal(Fisher()).group({parameters[0]}).group({parameters[0]}); },
               "two groups");
  const auto stranger = torch::ones({2}, torch::kDouble).requires_grad_();
  expect_error([&] { BlockDiagonal(Fisher()).group({stranger}).at(problem.graph); },
               "none of the optimizer's");
}

TEST_F(BlockDiagonalTest, TextTellsThePartition) {
  const auto none = BlockDiagonal(Fisher()), one = BlockDiagonal(Fisher()).group({parameters[0]});
  EXPECT_NE(none.describe(), one.describe());
  EXPECT_NE(none.describe(), BlockDiagonal(Hessian()).describe());
  EXPECT_EQ(one.describe(), one.clone()->describe());
}

}  // namespace
}  // namespace natgrad::testing::block_diagonal_test
