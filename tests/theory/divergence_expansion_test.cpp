// The divergence between p(θ + d) and p(θ) is ½ dᵀFd up to third order, in both directions
// (Martens, "New perspectives", section 6; the blog post on natural gradients prints it without the
// ½).

#include <natgrad/likelihoods/poisson.h>

#include "theory/small_network.h"

namespace natgrad::testing::divergence_expansion_test {
namespace {

constexpr double kRounding = 1e-12;
// Below 1e-4 the divergence, of size ε², is rounded by more than its third-order part.
const std::vector<double> kSteps = {8e-3, 4e-3, 2e-3};
constexpr double kOrder = 0.05;

struct DivergenceExpansion : ::testing::Test {
  const SmallNetwork network{561, 6, 3};
  const Tensor d = torch::nn::functional::normalize(
      randn(network.theta().sizes(), 5611), torch::nn::functional::NormalizeFuncOptions().dim(0));
  const Tensor F =
      fisher_of(nll(Categorical(network.forward()), network.labels), network.parameters);

  /// The mean over x of KL(p(θ + a d) ‖ p(θ + b d)).
  double divergence(double a, double b) const {
    const Categorical p(network.forward_at(network.theta() + a * d));
    const Categorical q(network.forward_at(network.theta() + b * d));
    return number(p.kl(q).mean());
  }
  /// The mean over x of E_p[(Δz_y - E_p[Δz])³], p = p(θ), Δz from θ to θ + ε d.
  double third_cumulant(double eps) const {
    const auto z = network.forward();
    const auto p = z.softmax(1), move = network.forward_at(network.theta() + eps * d) - z;
    return number((p * (move - (p * move).sum(1, true)).pow(3)).sum(1).mean());
  }
  double quadratic(double eps) const { return 0.5 * eps * eps * number(d.dot(F.mv(d))); }

  template <class Remainder>
  static void expect_third_order(Remainder remainder) {
    for (const double eps : kSteps) {
      EXPECT_NEAR(order(remainder(eps), remainder(eps / 2)), 3, kOrder) << "ε = " << eps;
    }
  }
};

TEST_F(DivergenceExpansion, ForwardIsHalfTheFisherMetric) {
  expect_third_order([&](double eps) { return divergence(eps, 0) - quadratic(eps); });
}

TEST_F(DivergenceExpansion, ReverseIsHalfTheFisherMetric) {
  expect_third_order([&](double eps) { return divergence(0, eps) - quadratic(eps); });
}

TEST_F(DivergenceExpansion, IsSymmetricToSecondOrder) {
  // KL(θ + d ‖ θ) - KL(θ ‖ θ + d) = κ₃/6 + O(d⁴), of log Z's third derivative along Δz.
  const auto difference = [&](double eps) { return divergence(eps, 0) - divergence(0, eps); };
  const auto error = [&](double eps) {
    return std::abs(difference(eps) / (third_cumulant(eps) / 6) - 1);
  };
  expect_third_order(difference);
  EXPECT_LT(error(2e-3), 0.01);
  EXPECT_NEAR(order(error(8e-3), error(4e-3)), 1, 0.1);
}

TEST_F(DivergenceExpansion, VanishesWhereTheDistributionStaysTheSame) {
  // One number added to all logits.
  const auto parts = network.pieces(torch::zeros_like(d));
  const auto same = flat({parts[0], parts[1], parts[2], torch::ones_like(parts[3])});
  const auto p = network.forward_at(network.theta() + same).softmax(1);
  EXPECT_LT(relative_error(p, network.forward().softmax(1)), kRounding);
  EXPECT_LT(number(F.mv(same).norm()), kRounding * number(F.norm()));
}

// ---- Where there is no third order. ----

TEST(DivergenceExpansionTest, OfLinearGaussianMeansIsExact) {
  constexpr double kVariance = 0.3;
  const auto x = randn({7, 4}, 5621), w = parameter({3, 4}, 5622), step = randn({3, 4}, 5623);
  const auto F = fisher_of(nll(Gaussian(x.mm(w.t()), kVariance), randn({7, 3}, 5624)), {w});
  const auto d = step.reshape(-1);
  const double divergence = number(x.mm(step.t()).square().sum(1).mean()) / (2 * kVariance);
  EXPECT_NEAR(0.5 * number(d.dot(F.mv(d))) / divergence, 1, kRounding);
}

TEST(DivergenceExpansionTest, IsOfFourthOrderWhereTheFisherMatrixVanishes) {
  // z = u² at u = 0: KL = ½ F_R u⁴ + ...
  const auto u = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto loss = nll(Poisson(u.square() + 0.4), torch::ones({1}, torch::kDouble));
  EXPECT_EQ(number(fisher_of(loss, {u})), 0);
  const auto divergence = [](double eps) {  // of Poisson rates e^{0.4 + ε²} and e^{0.4}
    const double rate = std::exp(0.4);
    return rate * (std::exp(eps * eps) * (eps * eps - 1) + 1);
  };
  EXPECT_NEAR(order(divergence(0.02), divergence(0.01)), 4, kOrder);
}

}  // namespace
}  // namespace natgrad::testing::divergence_expansion_test
