#include "libtorch/running_statistics.h"

#include "graph/census.h"
#include "libtorch/edges.h"
#include "support/oracles.h"

namespace natgrad::testing::running_statistics_test {
namespace {

std::vector<Tensor> statistics_below(const Tensor& loss) {
  return detail::running_statistics(detail::Census({detail::edge_of(loss)}).nodes);
}

TEST(RunningStatisticsTest, ShareTheMemoryOfTheBuffers) {
  torch::nn::BatchNorm1d norm(3);
  const auto x = torch::randn({4, 3}, seeded(1));
  // Twice in one graph, once in the list; the second pass has moved what the first has saved.
  const auto found = statistics_below((norm->forward(x) + norm->forward(2 * x)).sum());
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].data_ptr(), norm->running_mean.data_ptr());
  EXPECT_EQ(found[1].data_ptr(), norm->running_var.data_ptr());
}

TEST(RunningStatisticsTest, OfNormalisationThatMovesNoneAreNone) {
  const auto x = torch::randn({4, 3}, seeded(1));
  torch::nn::BatchNorm1d evaluated(3);
  evaluated->eval();
  torch::nn::BatchNorm1d untracked(torch::nn::BatchNormOptions(3).track_running_stats(false));
  EXPECT_TRUE(statistics_below(evaluated->forward(x).sum()).empty());
  EXPECT_TRUE(statistics_below(untracked->forward(x).sum()).empty());
}

TEST(RunningStatisticsTest, MayBePutBackWithoutACountOfTheWrite) {
  torch::nn::BatchNorm1d norm(3);
  const auto loss = norm->forward(torch::randn({4, 3}, seeded(1))).square().sum();
  for (const auto& statistic : statistics_below(loss)) statistic.variable_data().zero_();
  EXPECT_EQ(norm->running_mean.abs().sum().item<double>(), 0);
  EXPECT_NO_THROW(loss.backward());  // which reads them
}

}  // namespace
}  // namespace natgrad::testing::running_statistics_test
