// How many directions the Fisher matrix and the empirical one know: at most rank(F_R) |S| and |S|
// (Martens, "New perspectives", section 7).

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/graph/loss_graph.h>

#include "theory/small_network.h"

namespace natgrad::testing::rank_test {
namespace {

int64_t rank(const Tensor& symmetric) {
  constexpr double kZero = 1e-11;  // relative to the largest eigenvalue
  const auto eigenvalues = torch::linalg_eigvalsh(symmetric).abs();
  return (eigenvalues > kZero * eigenvalues.max()).sum().item<int64_t>();
}

struct Ranks : ::testing::TestWithParam<int64_t> {
  static constexpr int64_t kClasses = 3, kParameters = 21;
  // Adding one function of the hidden units to all logits leaves the distribution as it is: three
  // weights and a bias.
  static constexpr int64_t kUnseen = 4;
  const SmallNetwork network{581, GetParam(), kClasses};
  const Tensor z = network.forward();
};

TEST_P(Ranks, OfSoftmaxAreOneLessThanTheClassesForEachExample) {
  const auto F = fisher_of(nll(Categorical(z), network.labels), network.parameters);
  const auto bound = GetParam() * (kClasses - 1);
  EXPECT_EQ(rank(F), std::min(bound, kParameters - kUnseen));
}

TEST_P(Ranks, OfGaussianMeansAreTheOutputsOfEachExample) {
  const auto F = fisher_of(nll(Gaussian(z), network.targets), network.parameters);
  EXPECT_EQ(rank(F), std::min(GetParam() * kClasses, kParameters));
}

TEST_P(Ranks, OfTheEmpiricalFisherMatrixAreTheExamples) {
  const LossGraph graph(nll(Categorical(z), network.labels), network.parameters);
  EXPECT_EQ(rank(dense(empirical_fisher(graph))), std::min(GetParam(), kParameters - kUnseen));
}

INSTANTIATE_TEST_SUITE_P(Examples, Ranks, ::testing::Values(1, 2, 3, 20));

}  // namespace
}  // namespace natgrad::testing::rank_test
