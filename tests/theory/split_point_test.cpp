// Where the network ends and the loss begins: the Fisher matrix is of the distribution and does not
// see it, the Gauss-Newton matrix does (Martens, "New perspectives", section 8, the two ways of
// placing the softmax).

#include "theory/small_network.h"

namespace natgrad::testing::split_point_test {
namespace {

constexpr double kRounding = 1e-12;

struct SplitPoint : ::testing::Test {
  const SmallNetwork network{521, 5, 3};
  Tensor z = network.forward(), p = z.softmax(1);
  Tensor j_z = jacobian(z, network.parameters), j_p = jacobian(p, network.parameters);
  double n = static_cast<double>(z.size(0));
  Tensor F = j_z.t().mm(softmax_metric(p)).mm(j_z) / n;

  Tensor fisher_for(const Tensor& logits) const {
    return fisher_of(nll(Categorical(logits), network.labels), network.parameters);
  }
  /// G of -Σ t log p with the softmax in the network.
  Tensor softmax_inside(const Tensor& t) const {
    const auto loss = -(t * outputs(z.softmax(1)).log()).sum(1).mean();
    return gauss_newton_of(loss, network.parameters);
  }
  Tensor one_hot() const { return torch::one_hot(network.labels, z.size(1)).to(torch::kDouble); }
  /// The empirical Fisher matrix, from each example's own gradient.
  Tensor empirical_fisher() const {
    auto sum = torch::zeros_like(F);
    for (int64_t i = 0; i < z.size(0); ++i) {
      const auto score = gradient_of(p[i][network.labels[i]].log(), network.parameters);
      sum += score.outer(score) / n;
    }
    return sum;
  }
};

TEST_F(SplitPoint, TheFisherMatrixIsTheSameWhereverItIs) {
  const auto shifted = z - z.select(1, 0).unsqueeze(1);
  for (const auto& logits : {z, p.log(), z.log_softmax(1), shifted}) {
    EXPECT_LT(relative_error(fisher_for(logits), F), kRounding);
  }
}

TEST_F(SplitPoint, TheFisherMatrixFromProbabilitiesOrFromLogits) {
  // F_R of a multinomial by its probabilities is diag(1/p).
  EXPECT_LT(relative_error(j_p.t().mm(j_p / p.detach().reshape({-1, 1})) / n, F), kRounding);
}

TEST_F(SplitPoint, GaussNewtonWithSoftmaxInTheLossIsTheFisherMatrix) {
  const auto marked = outputs(z);
  const auto rows = torch::arange(z.size(0));
  const auto loss = (marked.exp().sum(1).log() - marked.index({rows, network.labels})).mean();
  EXPECT_LT(relative_error(gauss_newton_of(loss, network.parameters), F), kRounding);
}

TEST_F(SplitPoint, GaussNewtonWithSoftmaxInTheNetworkIsTheEmpiricalFisherMatrix) {
  const auto inside = softmax_inside(one_hot());
  EXPECT_LT(relative_error(inside, empirical_fisher()), kRounding);
  EXPECT_GT(relative_error(inside, F), 1);
}

TEST_F(SplitPoint, GaussNewtonWithSoftmaxInTheNetworkIsFisherOnlyForTheModelsOwnTargets) {
  // H_L = diag(t/p²): linear in the targets, so that the mean over y ~ p is F again.
  EXPECT_LT(relative_error(softmax_inside(p.detach()), F), kRounding);
}

TEST(SplitPointTest, SoftmaxInTheLossIsCloserToTheHessian) {
  // "Slightly closer to the Hessian", section 8: in most networks (seen: all).
  constexpr int kNetworks = 30, kMost = 28;
  int closer = 0;
  for (int seed = 0; seed < kNetworks; ++seed) {
    const SmallNetwork network(1000 + seed, 4, 3);
    const auto z = network.forward();
    const auto loss = nll(Categorical(z), network.labels);
    const auto p_y = outputs(z.softmax(1)).gather(1, network.labels.unsqueeze(1));
    const auto h = hessian(loss, network.parameters);
    const auto in_loss = gauss_newton_of(loss, network.parameters);
    const auto in_network = gauss_newton_of(-p_y.log().mean(), network.parameters);
    closer += relative_error(in_loss, h) < relative_error(in_network, h);
  }
  EXPECT_GE(closer, kMost);
}

}  // namespace
}  // namespace natgrad::testing::split_point_test
