// What is said for Gauss-Newton against the Hessian as the curvature of a quadratic model: it is
// better known from few examples (Martens, "New perspectives", section 3), models the curvature as
// higher in most directions, and proposes smaller steps (section 9). Claims of "often" and "most":
// counted over networks of fixed seeds.

#include <natgrad/curvature/hessian.h>
#include <natgrad/graph/loss_graph.h>

#include "theory/small_network.h"

namespace natgrad::testing::conservative_curvature_test {
namespace {

constexpr int kNetworks = 24;
constexpr int64_t kExamples = 30, kClasses = 3;
constexpr double kLambda = 0.1;  // for both matrices: the Hessian alone is often indefinite

Tensor loss_of(const SmallNetwork& network, int64_t first, int64_t count) {
  const auto z = SmallNetwork::forward(network.parameters, network.x.narrow(0, first, count));
  return nll(Categorical(z), network.labels.narrow(0, first, count));
}

struct Comparison {
  double step, step_of_hessian;  ///< ‖(C + λI)⁻¹∇h‖ of either
  double share_of_directions;    ///< of random v with vᵀGv > vᵀHv
};

Comparison compare(const SmallNetwork& network) {
  const LossGraph graph(loss_of(network, 0, kExamples), network.parameters);
  const auto H = dense(natgrad::hessian(graph)), G = dense(gauss_newton(graph));
  const auto damping = kLambda * torch::eye(H.size(0), torch::kDouble);
  const auto step = [&](const Tensor& C) {
    return number(torch::linalg_solve(C + damping, graph.gradient()).norm());
  };
  const auto v = randn({H.size(0), 200}, 6811);
  const auto higher = (v * G.mm(v)).sum(0) > (v * H.mm(v)).sum(0);
  return {step(G), step(H), number(higher.to(torch::kDouble).mean())};
}

TEST(ConservativeCurvatureTest, IsHigherInMostDirectionsAndStepsAreSmaller) {
  // A matrix that is merely larger would do that too, and better: hence the bounds from above.
  // Seen: 20, 23 and 0.736; with 1.1 G 23, 24 and 0.785, with 0.9 G 18, 22 and 0.672.
  int smaller = 0, higher = 0;
  double share = 0;
  for (int seed = 0; seed < kNetworks; ++seed) {
    const auto of = compare(SmallNetwork(2000 + seed, kExamples, kClasses));
    smaller += of.step < of.step_of_hessian;
    higher += of.share_of_directions > 0.5;
    share += of.share_of_directions / kNetworks;
  }
  EXPECT_GE(smaller, 17);
  EXPECT_LE(smaller, 22);
  EXPECT_GE(higher, 17);
  EXPECT_NEAR(share, 0.736, 0.03);
}

TEST(ConservativeCurvatureTest, IsTheHessianWhereTheResidualsAverageOut) {
  // With the model's own targets the remainder has mean zero: neither higher nor lower.
  const SmallNetwork network(2050, kExamples, kClasses);
  const auto p = network.forward().detach().softmax(1);
  const LossGraph graph(nll(Categorical(network.forward()), p), network.parameters);
  constexpr double kRounding = 1e-12;
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), dense(natgrad::hessian(graph))), kRounding);
}

TEST(ConservativeCurvatureTest, IsBetterKnownFromFewExamples) {
  // The deviation of one example's matrix from the mean's, relative to the mean.
  constexpr int kFew = 8;
  constexpr int64_t kSample = 8;
  int better = 0;
  for (int seed = 0; seed < kFew; ++seed) {
    const SmallNetwork network(2100 + seed, kSample, kClasses);
    std::vector<Tensor> g, h;
    for (int64_t i = 0; i < kSample; ++i) {
      const auto loss = loss_of(network, i, 1);
      const LossGraph graph(loss, network.parameters);
      g.push_back(dense(gauss_newton(graph)));
      h.push_back(dense(natgrad::hessian(graph)));
    }
    const auto deviation = [](const std::vector<Tensor>& matrices) {
      const auto all = torch::stack(matrices);
      const auto mean = all.mean(0, /*keepdim=*/true);
      return number((all - mean).norm() / mean.norm());
    };
    better += deviation(g) < deviation(h);
  }
  EXPECT_GE(better, kFew - 1);  // seen: all
}

}  // namespace
}  // namespace natgrad::testing::conservative_curvature_test
