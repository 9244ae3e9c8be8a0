// The objective as a divergence between the joint distributions, its conditional form, and the
// negative log-likelihood that stands for it (Martens, "New perspectives", section 4, eq. 3).

#include <natgrad/graph/loss_graph.h>
#include "theory/small_network.h"

namespace natgrad::testing::divergence_objective_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-13;

/// Inputs on a finite grid, with q(x) and q(y|x).
struct DivergenceObjective : ::testing::Test {
  const SmallNetwork network{531, 5, 3};
  const Tensor q_x = randn({5}, 5311).softmax(0), q_y = randn({5, 3}, 5312).softmax(1);

  /// Σ over (x, y) of q(x, y) log(q(x, y)/p(x, y)), p(x, y) = p(y|x) q(x), pair by pair.
  Tensor joint_divergence(const Tensor& z) const {
    auto sum = torch::zeros({}, torch::kDouble);
    for (int64_t x = 0; x < z.size(0); ++x) {
      const auto p = z[x].exp() / z[x].exp().sum();
      for (int64_t y = 0; y < z.size(1); ++y) {
        const auto q = q_x[x] * q_y[x][y];
        sum = sum + q * (q / (p[y] * q_x[x])).log();
      }
    }
    return sum;
  }
  /// What the library minimises: Σ q(x) · -Σ q(y|x) log p(y|x).
  Tensor surprise(const Tensor& z) const {
    return (q_x * nll(Categorical(z), q_y, at::Reduction::None)).sum();
  }
  double entropy() const { return -(q_x.unsqueeze(1) * q_y * q_y.log()).sum().item<double>(); }
  LossGraph graph(const Tensor& loss) const { return LossGraph(loss, network.parameters); }
};

TEST_F(DivergenceObjective, OfJointDistributionsIsTheExpectedConditionalOne) {
  const auto z = network.forward();
  const auto each = Categorical(q_y.log()).kl(Categorical(z));  // KL(q(y|x) ‖ p(y|x))
  EXPECT_LT(relative_error((q_x * each).sum(), joint_divergence(z)), kRounding);
}

TEST_F(DivergenceObjective, DiffersFromTheLogLikelihoodByTheEntropyOfTheTargets) {
  for (const uint64_t seed : {1, 2, 3}) {
    const auto z = network.forward_at(randn(network.theta().sizes(), seed));
    EXPECT_NEAR((surprise(z) - joint_divergence(z)).item<double>(), entropy(), kRounding);
  }
}

TEST_F(DivergenceObjective, HasTheGradientOfTheLogLikelihood) {
  const auto z = network.forward();
  const auto expected = gradient_of(joint_divergence(z), network.parameters);
  EXPECT_LT(relative_error(graph(surprise(z)).gradient(), expected), kRounding);
}

TEST_F(DivergenceObjective, HasTheFisherMatrixOfTheJointDistribution) {
  // F = E_{q(x)} E_{p(y|x)}[score scoreᵀ], class by class.
  const auto z = network.forward();
  auto expected = torch::zeros({network.theta().numel(), network.theta().numel()}, torch::kDouble);
  for (int64_t x = 0; x < z.size(0); ++x) {
    for (int64_t y = 0; y < z.size(1); ++y) {
      const auto log_p = z[x][y] - z[x].exp().sum().log();
      const auto score = gradient_of(log_p, network.parameters);
      expected += (q_x[x] * log_p.exp()).detach() * score.outer(score);
    }
  }
  EXPECT_LT(relative_error(dense(fisher(graph(surprise(z)))), expected), kRounding);
}

TEST_F(DivergenceObjective, OfOneHotTargetsIsTheLogLikelihoodOfTheLabels) {
  const auto z = network.forward();
  const auto hot = torch::one_hot(network.labels, 3).to(torch::kDouble);
  const auto of_labels = graph(F::cross_entropy(z, network.labels));
  const auto of_targets = graph(nll(Categorical(z), hot));
  EXPECT_LT(relative_error(of_targets.gradient(), of_labels.gradient()), kRounding);
}

// ---- Targets t that do not sum to one: ∇_z L = s p - t and H_L = s F_R with s = Σ t. ----

struct UnnormalisedTargets : ::testing::Test {
  const Tensor z = parameter({4, 3}, 5321);
  const Tensor t = torch::rand({4, 3}, seeded(5322), torch::kDouble) + 0.1;
  const Tensor s = t.sum(1, true), p = z.detach().softmax(1);
};

TEST_F(UnnormalisedTargets, WeighEachExampleByTheirSum) {
  const LossGraph graph(F::cross_entropy(z, t), {z});
  EXPECT_LT(relative_error(graph.gradient(), ((s * p - t) / 4).view(-1)), kRounding);
  const auto metric = softmax_metric(p) * s.expand({4, 3}).reshape({-1, 1}) / 4;
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), metric), kRounding);
  EXPECT_LT(relative_error(dense(fisher(graph)), metric), kRounding);
}

TEST_F(UnnormalisedTargets, AreNoDistributionForALikelihood) {
  expect_error([&] { nll(Categorical(z), t); }, "sum to 1");
}

}  // namespace
}  // namespace natgrad::testing::divergence_objective_test
