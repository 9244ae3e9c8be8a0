// The quadratic model as the distance between what δ does to the outputs and what would be best for
// each of them, and the bound on the improvement that follows (Martens, "New perspectives", section
// 11). There the distance is printed as ‖J_f δ + F_R⁻¹∇_z log r‖; since ∇h = -mean J_fᵀ∇_z log r,
// it is a minus. The bound's "M(θ) - h(θ)" is M(δ) - h(θ).

#include <natgrad/curvature/best_outputs.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/bernoulli.h>

#include <algorithm>

#include "theory/small_network.h"

namespace natgrad::testing::best_outputs_test {
namespace {

constexpr double kRounding = 1e-12;

struct BestOutputs : ::testing::Test {
  static constexpr int64_t kCount = 6, kClasses = 3;
  const SmallNetwork network{661, kCount, kClasses};
  Tensor z = network.forward(), p = z.detach().softmax(1);
  const LossGraph graph{nll(Categorical(z), network.labels), network.parameters};
  Tensor score = torch::one_hot(network.labels, kClasses) - p;  // ∇_z log r
  Tensor metric = softmax_metric(p).view({kCount, kClasses, kCount, kClasses});
  Tensor j = jacobian(z, network.parameters).view({kCount, kClasses, -1});

  Tensor metric_of(int64_t i) const { return metric.select(2, i).select(0, i); }
  /// F_R⁻∇_z log r, the best change of example i's outputs; F_R is singular for softmax.
  Tensor best(int64_t i) const {
    return torch::linalg_pinv(metric_of(i), 1e-12, /*hermitian=*/true).mv(score[i]);
  }
  /// mean ½‖J δ - sign·F_R⁻∇log r‖²_{F_R}, less its value at Jδ = 0.
  double distance(const Tensor& delta, double sign) const {
    double sum = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      const auto off = j[i].mv(delta) - sign * best(i);
      sum += 0.5 * number(off.dot(metric_of(i).mv(off)) - best(i).dot(metric_of(i).mv(best(i))));
    }
    return sum / kCount;
  }
};

TEST_F(BestOutputs, AreWhatTheModelMeasuresTheDistanceTo) {
  for (const uint64_t seed : {1, 2, 3}) {
    const auto delta = randn(network.theta().sizes(), 6610 + seed);
    const double change = quadratic_model(graph).change(delta);
    EXPECT_NEAR(change / distance(delta, +1), 1, kRounding);
    EXPECT_GT(std::abs(change / distance(delta, -1) - 1), 0.05);  // the sign as printed
    const double whole = quadratic_model(graph)(delta);
    EXPECT_NEAR(least_squares_form(graph, delta) / whole, 1, kRounding);
  }
}

TEST_F(BestOutputs, OfSoftmaxAreExplicit) {
  const auto all = best_outputs(graph)[0];  // up to a number added to all logits
  double sum = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const auto y = network.labels[i].item<int64_t>();
    auto ratio = torch::zeros({kClasses}, torch::kDouble);
    ratio[y] = 1 / p[i][y];
    EXPECT_LT(relative_error(best(i), ratio - ratio.mean()), kRounding);
    EXPECT_LT(relative_error(all[i] - all[i].mean(), best(i)), kRounding);
    const double gain = number(score[i].dot(best(i)));  // 2(h - M) of this example alone
    EXPECT_NEAR(gain, number((1 - p[i][y]) / p[i][y]), kRounding * gain);
    sum += gain;
  }
  EXPECT_NEAR(bound(graph) / (-0.5 * sum / kCount), 1, kRounding);
}

TEST_F(BestOutputs, AreReachedWhereEachExampleHasParametersOfItsOwn) {
  // θ = z: the bound, -½ mean sᵀF_R⁻s, is what the step promises.
  const auto own = z.detach().clone().requires_grad_();
  const LossGraph alone(nll(Categorical(own), network.labels), {own});
  const auto solution = tight_solver().solve(fisher(alone), -alone.gradient());
  const auto p_y = p.gather(1, network.labels.unsqueeze(1));
  EXPECT_NEAR(solution.summary.quadratic / number(-0.5 * ((1 - p_y) / p_y).mean()), 1, kRounding);
}

// ---- The bound, on the same data and on other data than the gradient's. ----

TEST(Bound, HoldsOnTheSameDataAndFailsOnOther) {
  // One-output networks with as many parameters, 13, as examples nearly.
  constexpr int64_t kExamples = 16;
  constexpr int kNetworks = 24;
  int64_t same = 0, mixed = 0;
  std::vector<double> growth;
  for (int seed = 0; seed < kNetworks; ++seed) {
    const SmallNetwork network(700 + seed, 2 * kExamples, 1);
    const auto loss = [&](int64_t k) {
      const auto y = network.targets.narrow(0, k * kExamples, kExamples) > 0;
      const auto z = network.forward().narrow(0, k * kExamples, kExamples);
      return nll(Bernoulli(z), y.to(torch::kDouble));
    };
    const auto report = mixed_batches(network.parameters, loss, 2);
    same += report.same_below;
    mixed += report.mixed_below;
    for (const auto& pair : report.pairs) growth.push_back(pair.growth);
  }
  std::sort(growth.begin(), growth.end());
  EXPECT_EQ(same, 0);
  EXPECT_GT(mixed, 36);                     // of 48
  EXPECT_GT(growth[growth.size() / 2], 3);  // of the step, at the median
}

TEST(Bound, OfGaussiansIsTheSquaredError) {
  constexpr double kVariance = 0.3;
  for (int seed = 0; seed < 10; ++seed) {
    const SmallNetwork network(760 + seed, 8, 3);
    const auto z = network.forward();
    const LossGraph graph(nll(Gaussian(z, kVariance), network.targets), network.parameters);
    const auto solver = ConjugateGradient().max_iterations(60).tolerance(1e-8);
    const auto solution = solver.solve(fisher(graph), -graph.gradient());
    const auto error = (network.targets - z).square().sum(1) / kVariance;
    const double expected = number(-0.5 * error.mean());
    EXPECT_NEAR(bound(graph) / expected, 1, kRounding);
    EXPECT_GT(solution.summary.quadratic, expected);
  }
}

}  // namespace
}  // namespace natgrad::testing::best_outputs_test
