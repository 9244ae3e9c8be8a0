#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/log_std_gaussian.h>
#include <natgrad/likelihoods/poisson.h>

#include "diagnostics/traces.h"
#include "diagnostics/wrong_metrics.h"
#include "theory/small_network.h"

// KL(θ + d ‖ θ) and KL(θ ‖ θ + d) against ½ dᵀFd (Martens, section 6).

namespace natgrad::testing::kl_expansion_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kOrder = 0.05;
// Coefficients are extrapolated from ε = 3e-3 and 2e-3.
constexpr double kExtrapolated = 1e-4;

struct KLExpansionTest : ::testing::Test {
  const SmallNetwork network{821, 6, 3};
  const Tensor d = randn(network.theta().sizes(), 8211);

  Tensor loss() const { return F::cross_entropy(network.forward(), network.labels); }
  KLExpansionReport expand(const Curvature& metric = Fisher()) const {
    return kl_expansion(
        network.parameters, [&] { return loss(); }, d, metric);
  }
};

TEST_F(KLExpansionTest, LeavesATermOfThirdOrderBothWays) {
  const auto report = expand();
  EXPECT_TRUE(report.holds) << report.message();
  for (const auto& kl : {report.forward, report.reverse}) {
    EXPECT_NEAR(kl.slope, 3, kOrder);
    EXPECT_NEAR(kl.second, 1, 1e-6);
    EXPECT_FALSE(kl.is_exact);
  }
}

// The divergences at the ε told, by plain softmax.
TEST_F(KLExpansionTest, SeesTheDivergencesThemselves) {
  const auto report = expand();
  for (size_t i = 0; i < report.epsilons.size(); ++i) {
    const auto step = report.epsilons[i] * report.length * d;
    const auto p = network.forward().detach().log_softmax(1);
    const auto q = network.forward_at(network.theta() + step).log_softmax(1);
    const auto kl = [](const Tensor& a, const Tensor& b) {
      return number((a.exp() * (a - b)).sum(1).mean());
    };
    constexpr double kPlain = 1e-15;  // what the plain sum has lost
    EXPECT_NEAR(report.forward.divergence[i], kl(q, p), kPlain);
    EXPECT_NEAR(report.reverse.divergence[i], kl(p, q), kPlain);
  }
}

// 1/6 E[(dᵀ∇log p)³], by enumeration of the classes with a dense Jacobian.
TEST_F(KLExpansionTest, TheAsymmetryIsTheThirdMomentOfTheScore) {
  const auto report = expand();
  const auto z = network.forward();
  const auto jd = jacobian(z, network.parameters).mv(report.length * d).view(z.sizes());  // [N, K]
  const auto p = z.detach().softmax(1);
  const auto slopes = jd - (p * jd).sum(1, true);  // (e_y - p)ᵀ J d by class
  const double third = number((p * slopes.pow(3)).sum(1).mean());
  EXPECT_NEAR(report.asymmetry / (third / 6), 1, 1e-3);
}

// k₃/3 and k₃/6 along one natural parameter.
TEST_F(KLExpansionTest, CoefficientsOfNaturalParametersAreThirdCumulants) {
  constexpr double kZ = 0.6;
  const auto theta = torch::full({1}, kZ, torch::kDouble).requires_grad_();
  const auto y = torch::ones({1}, torch::kDouble);
  const auto expect = [&](const KLExpansionReport& report, double fisher, double k3) {
    EXPECT_TRUE(report.holds) << report.message();
    const double scaled = k3 / std::pow(fisher, 1.5);  // d has dᵀFd = 1
    EXPECT_NEAR(report.forward.third, scaled / 3, kExtrapolated);
    EXPECT_NEAR(report.reverse.third, scaled / 6, kExtrapolated);
  };
  const auto ahead = torch::ones({1}, torch::kDouble);
  const double rate = std::exp(kZ), p = 1 / (1 + std::exp(-kZ));
  expect(kl_expansion(
             {theta}, [&] { return nll(Poisson(1 * theta), y); }, ahead),
         rate, rate);
  expect(kl_expansion(
             {theta}, [&] { return nll(Bernoulli(1 * theta), y); }, ahead),
         p * (1 - p), p * (1 - p) * (1 - 2 * p));
}

TEST_F(KLExpansionTest, OfLinearGaussianMeansIsExact) {
  const auto x = randn({7, 4}, 8221), y = randn({7, 3}, 8222), w = parameter({3, 4}, 8223);
  const auto report = kl_expansion({w}, [&] { return nll(Gaussian(x.mm(w.t()), 0.3), y); });
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_TRUE(report.forward.is_exact);
  EXPECT_TRUE(report.reverse.is_exact);
  EXPECT_NE(report.message().find("exactly"), std::string::npos);
}

// The same mean through a network is not linear.
TEST_F(KLExpansionTest, OfGaussianMeansOfANetworkIsNot) {
  const auto report = kl_expansion(network.parameters,
                                   [&] { return F::mse_loss(network.forward(), network.targets); });
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_FALSE(report.forward.is_exact);
  EXPECT_NEAR(report.forward.slope, 3, kOrder);
}

TEST_F(KLExpansionTest, VanishesWhereTheDistributionStays) {
  auto parts = network.pieces(torch::zeros_like(d));
  const auto same = flat({parts[0], parts[1], parts[2], torch::ones_like(parts[3])});
  const auto report = kl_expansion(
      network.parameters, [&] { return loss(); }, same);
  EXPECT_EQ(report.square, 0);
  EXPECT_TRUE(report.holds && report.forward.is_exact) << report.message();
}

// z = u² at u = 0: F d = 0, and the divergence is ½ F_R u⁴ + ....
TEST_F(KLExpansionTest, IsOfFourthOrderWhereTheFisherMatrixVanishes) {
  const auto u = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto y = torch::ones({1}, torch::kDouble);
  const auto report = kl_expansion(
      {u}, [&] { return nll(Poisson(u.square() + 0.4), y); }, torch::ones({1}, torch::kDouble));
  EXPECT_EQ(report.square, 0);
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_NEAR(report.forward.slope, 4, kOrder);
}

TEST_F(KLExpansionTest, FailsForWrongMetrics) {
  for (const auto& wrong : wrong_metrics()) {
    const auto report = expand(wrong);
    EXPECT_FALSE(report.forward.holds || report.reverse.holds || report.holds) << report.message();
  }
  EXPECT_FALSE(expand(EmpiricalFisher()).holds);
}

// Gauss-Newton is F for softmax outputs, and not for (μ, log σ).
TEST_F(KLExpansionTest, TellsGaussNewtonFromFisher) {
  EXPECT_TRUE(expand(GaussNewton()).holds);
  const auto pair = [&] {
    return nll(LogStdGaussian(network.forward().narrow(1, 0, 2)), network.targets.narrow(1, 0, 1));
  };
  EXPECT_TRUE(kl_expansion(network.parameters, pair, d).holds);
  EXPECT_FALSE(kl_expansion(network.parameters, pair, d, GaussNewton()).holds);
}

TEST_F(KLExpansionTest, TakesTheWeightsThatTheMetricSays) {
  const auto sum = [&] { return 5 * loss(); };
  EXPECT_TRUE(kl_expansion(network.parameters, sum, d).holds);
  const auto uniform = Fisher().weights(FisherWeights::Uniform);
  const auto report = kl_expansion(network.parameters, sum, d, uniform);
  EXPECT_TRUE(report.holds);
  EXPECT_NEAR(report.length, expand().length, 1e-12);
}

TEST_F(KLExpansionTest, HoldsInFloat32) {
  std::vector<Tensor> narrow;
  for (const auto& p : network.parameters) {
    narrow.push_back(p.detach().to(torch::kFloat).requires_grad_());
  }
  const auto x = network.x.to(torch::kFloat);
  const auto report = kl_expansion(
      narrow, [&] { return F::cross_entropy(SmallNetwork::forward(narrow, x), network.labels); }, d,
      Fisher(), KLExpansionOptions().largest(0.2).halvings(3));
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_FALSE(report.forward.is_exact);
}

TEST_F(KLExpansionTest, LeavesNoTrace) {
  const Traces before(network.parameters);
  const auto noisy = [&] {
    const auto out = F::dropout(network.forward(), F::DropoutFuncOptions().p(0.3));
    return F::cross_entropy(out, network.labels);
  };
  EXPECT_TRUE(kl_expansion(network.parameters, noisy, d).holds);  // one mask for all
  before.expect_none();
  expect_error([&] { kl_expansion(network.parameters, failing_at(4, noisy), d); }, "own error");
  before.expect_none();
}

TEST_F(KLExpansionTest, RefusesOutputsThatAreTheParameterItself) {
  const auto rate = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto y = torch::full({1}, 3, torch::kDouble);
  expect_error([&] { kl_expansion({rate}, [&] { return nll(Poisson(rate), y); }); },
               "1 * parameter");
  EXPECT_TRUE(kl_expansion({rate}, [&] { return nll(Poisson(1 * rate), y); }).holds);
}

TEST_F(KLExpansionTest, RefusesWhatItCannotLookAt) {
  const auto call = [&] { return loss(); };
  const auto zero = torch::zeros_like(d);
  expect_error([&] { kl_expansion(network.parameters, call, zero); }, "direction");
  expect_error([&] { kl_expansion(network.parameters, call, d.narrow(0, 0, 3)); }, "direction");
  expect_error(
      [&] {
        kl_expansion(network.parameters, [&] { return outputs(network.forward()).pow(4).mean(); });
      },
      "needs a likelihood");
  expect_error(
      [&] { kl_expansion(network.parameters, call, d, Fisher(), KLExpansionOptions().largest(0)); },
      "largest");
  expect_error(
      [&] {
        kl_expansion(network.parameters, call, d, Fisher(), KLExpansionOptions().halvings(1));
      },
      "halves");
}

}  // namespace
}  // namespace natgrad::testing::kl_expansion_test
