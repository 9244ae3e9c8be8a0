// Along the natural gradient a first-order model of h stays accurate for longer, "as measured per
// unit of predicted improvement" (Martens, "New perspectives", section 9); and what a smaller rate
// ε and damping each do to the step in the eigendirections of F (there too).

#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/bernoulli.h>

#include "theory/small_network.h"

namespace natgrad::testing::linear_model_test {
namespace {

using Objective = std::function<Tensor(const Tensor& theta)>;

/// |h(θ + d) - h(θ) - ∇hᵀd| / |∇hᵀd| for the multiple d of the direction at which the linear model
/// predicts that h falls by `share`.
double error_of_linear_model(const Objective& h, const Tensor& theta, const Tensor& gradient,
                             const Tensor& direction, double share) {
  const double before = number(h(theta)), predicted = -share * before;
  const auto d = predicted / number(gradient.dot(direction)) * direction;
  return std::abs((number(h(theta + d)) - before) / predicted - 1);
}

struct LinearModelOfH : ::testing::TestWithParam<double> {
  static constexpr int kProblems = 30;
};

TEST_P(LinearModelOfH, IsMoreAccurateAlongTheNaturalGradientOfLogisticRegression) {
  // F is the Hessian here: (gᵀg)² ≤ gᵀFg·gᵀF⁻¹g says so to second order.
  int gradients = 0, random = 0;
  for (int seed = 0; seed < kProblems; ++seed) {
    const auto x = randn({40, 3}, 2200 + seed) * torch::tensor({1., 0.3, 3.}, torch::kDouble);
    const auto y = (randn({40}, 2300 + seed) > 0).to(torch::kDouble);
    const auto theta = parameter({3}, 2400 + seed);
    const LossGraph graph(nll(Bernoulli(x.mv(theta)), y), {theta});
    const auto g = graph.gradient();
    const auto error = [&](const Tensor& direction) {
      const auto h = [&](const Tensor& t) { return (x.mv(t).exp().log1p() - y * x.mv(t)).mean(); };
      return error_of_linear_model(h, theta.detach(), g, direction, GetParam());
    };
    const double natural = error(tight_solver().solve(fisher(graph), g).x);
    gradients += natural < error(g);
    random += natural < error(randn({3}, 2500 + seed));
  }
  EXPECT_GE(gradients, 28);  // seen: all, against either
  EXPECT_GE(random, 28);
}

TEST_P(LinearModelOfH, IsMoreAccurateAlongTheDampedNaturalGradientOfMostNetworks) {
  // Damped: along directions that F barely knows the network itself bends first.
  constexpr double kLambda = 0.1;
  int better = 0;
  for (int seed = 0; seed < kProblems; ++seed) {
    const SmallNetwork network(2600 + seed, 40, 3);
    const LossGraph graph(nll(Categorical(network.forward()), network.labels), network.parameters);
    const auto g = graph.gradient();
    const auto error = [&](const Tensor& direction) {
      const auto h = [&](const Tensor& t) {
        return torch::nn::functional::cross_entropy(network.forward_at(t), network.labels);
      };
      return error_of_linear_model(h, network.theta(), g, direction, GetParam());
    };
    better += error(tight_solver().solve(fisher(graph) + kLambda, g).x) < error(g);
  }
  EXPECT_GE(better, 24);  // seen with twice as many: 57 of 60
}

INSTANTIATE_TEST_SUITE_P(Shares, LinearModelOfH, ::testing::Values(0.01, 0.1));

// ---- In the eigendirections of F. ----

struct Eigendirections : ::testing::Test {
  static constexpr double kRounding = 1e-10;
  const Tensor x = randn({30, 4}, 6911), y = randn({30}, 6912), start = randn({4}, 6913);
  const std::tuple<Tensor, Tensor> spectrum = torch::linalg_eigh(x.t().mm(x) / 30);
  const Tensor &values = std::get<0>(spectrum), &vectors = std::get<1>(spectrum);

  /// The step in F's eigenbasis, over that of the natural gradient of rate one.
  Tensor share(double rate, double lambda) const {
    const auto w = start.clone().requires_grad_();
    NaturalGradient optimizer({w}, plain_natural_gradient(rate, lambda));
    optimizer.step(nll(Gaussian(x.mv(w)), y));
    const auto full = std::get<0>(torch::linalg_lstsq(x, y.unsqueeze(1))).squeeze(1) - start;
    return vectors.t().mv(w.detach() - start) / vectors.t().mv(full);
  }
};

TEST_F(Eigendirections, AreAllRescaledAlikeByTheRate) {
  EXPECT_LT(relative_error(share(0.2, 0), torch::full({4}, 0.2, torch::kDouble)), kRounding);
}

TEST_F(Eigendirections, AreShortenedByDampingTheMoreTheLessFKnowsOfThem) {
  const double lambda = 0.3;
  EXPECT_LT(relative_error(share(1, lambda), values / (values + lambda)), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::linear_model_test
