// Losses in elementary operations where no output of the network is z, or the numbers are coarse;
// the others are in the table of losses (tests/support/losses_by_hand.cpp).

#include "graph/hand_written_terms.h"

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::hand_written_terms_test {
namespace {

// A few hundred sums of numbers near one, in double, through third derivatives.
constexpr double kRounding = 1e-11;

Tensor targets() { return randn({kExamples, kOutputs}, 1401); }

/// A residual r(θ) as a function of more than the outputs, and a way to square it.
struct Residual {
  std::string name;
  std::function<Tensor(const std::vector<Tensor>& p)> of;
};

std::ostream& operator<<(std::ostream& out, const Residual& residual) {
  return out << residual.name;
}

/// u(x) of a network of one input, [N, 1].
Tensor curve(const Tensor& x, const std::vector<Tensor>& p) {
  return torch::linear(torch::linear(x, p[0], p[1]).tanh(), p[2]);
}

Tensor derivative(const Tensor& u, const Tensor& x) {
  return torch::autograd::grad({u.sum()}, {x}, {}, true, /*create_graph=*/true)[0];
}

std::vector<Residual> residuals() {
  const auto points = [] { return torch::linspace(-1, 1, 5, torch::kDouble).unsqueeze(1); };
  return {
      {"OfTwoEvaluations",
       [=](auto& p) { return curve(points(), p) - 0.9 * curve(points() + 0.5, p); }},
      {"OfANonlinearFunction", [=](auto& p) { return curve(points(), p).sin() - 0.3; }},
      {"OfAProductOfOutputs",
       [=](auto& p) { return curve(points(), p) * curve(points() - 1, p) - points(); }},
      {"OfADerivative",
       [=](auto& p) {
         const auto x = points().requires_grad_();
         const auto u = curve(x, p);
         return derivative(u, x) + u;
       }},
      {"OfASecondDerivative",
       [=](auto& p) {
         const auto x = points().requires_grad_();
         return derivative(derivative(curve(x, p), x), x) - (M_PI * x).sin();
       }},
  };
}

struct SquaredResidual : ::testing::TestWithParam<Residual> {
  std::vector<Tensor> p = {parameter({4, 1}, 1402), parameter({4}, 1403), parameter({1, 4}, 1404)};
  Tensor r = GetParam().of(p);
  Tensor J = jacobian(r, p);
};

// Σ cᵢ rᵢ² has the Gauss-Newton matrix 2 Σ cᵢ ∇rᵢ∇rᵢᵀ, which is the Fisher matrix of a Gaussian.
TEST_P(SquaredResidual, HasItsGaussNewtonMatrix) {
  const auto weights = torch::rand(r.sizes(), seeded(1405), torch::kDouble);
  const std::vector<std::pair<Tensor, Tensor>> written = {
      {r.square().mean(), torch::full_like(r.detach(), 1.0 / double(r.numel()))},
      {(weights * r.pow(2)).sum(), weights},
      {0.5 * (r * r).sum(), torch::full_like(r.detach(), 0.5)},
  };
  for (const auto& [loss, c] : written) {
    const LossGraph graph(loss, p);
    const auto expected = 2 * J.t().mm(c.reshape({-1, 1}) * J);
    EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
    EXPECT_LT(relative_error(dense(gauss_newton(graph)), expected), kRounding);
    EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, p)), kRounding);
    EXPECT_EQ(graph.outputs(), 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Residuals, SquaredResidual, ::testing::ValuesIn(residuals()), ByName());

// ---- Epsilons as users write them, in float32. ----

// Those of float32, and what the epsilon itself changes.
constexpr double kCoarse = 1e-5;

TEST(HandWrittenTermsTest, AnEpsilonBesideASigmoidKeepsTheFisherMatrix) {
  const auto z = (2 * targets()).to(torch::kFloat).requires_grad_();
  const auto y = (randn(z.sizes(), 1406) > 0).to(torch::kFloat);
  const auto p = z.sigmoid();
  const auto expected = (p * (1 - p)).detach().reshape(-1).diag() / double(z.numel());
  for (const double epsilon : {1e-8, 1e-7, 1e-5}) {
    const auto added = -(y * (p + epsilon).log() + (1 - y) * (1 - p + epsilon).log()).mean();
    const auto clamped = p.clamp(epsilon, 1 - epsilon);
    const auto kept = -(y * clamped.log() + (1 - y) * (1 - clamped).log()).mean();
    for (const auto& loss : {added, kept}) {
      const LossGraph graph(loss, {z});
      EXPECT_LT(relative_error(dense(fisher(graph)), expected), kCoarse + epsilon);
      EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, {z})), kCoarse);
    }
  }
}

// Beyond the clamp the loss has no gradient, but the coin it is about has its Fisher matrix.
TEST(HandWrittenTermsTest, AClampThatHoldsKeepsTheCoin) {
  const auto z = torch::tensor({-9., 0.5, 9.}, torch::kDouble).requires_grad_();
  const auto p = z.sigmoid();
  const auto loss = -p.clamp(1e-3, 1 - 1e-3).log().sum();
  const LossGraph graph(loss, {z});
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, {z})), kRounding);
  EXPECT_EQ(graph.gradient()[2].item<double>(), 0);
  const auto expected = (p * (1 - p)).detach().diag();
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
}

// ---- Beside penalties, and among themselves. ----

TEST(HandWrittenTermsTest, ASquareOfParametersBesideATermStaysAPenalty) {
  const auto network = tanh_network();
  const auto& w = network.parameters[0];
  const auto error = (network.forward() - targets()).square().mean();
  const auto decay = 0.1 * w.square().sum() + 0.01 * (w * w).mean() + 0.1 * w.exp().sum();
  const LossGraph graph(error + decay, network.parameters), plain(error, network.parameters);
  EXPECT_EQ(graph.terms().size(), 1u);
  EXPECT_LT(relative_error(dense(penalty_hessian(graph)), hessian(decay, network.parameters)),
            kRounding);
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), dense(gauss_newton(plain))), kRounding);
}

// A variational autoencoder by hand: coins of the decoder, squares and exponentials of the encoder.
TEST(HandWrittenTermsTest, AVariationalAutoencodersTermsAddUp) {
  const auto x = torch::rand({kExamples, kOutputs}, seeded(1407), torch::kDouble);
  const auto encode = parameter({4, kOutputs}, 1408), decode = parameter({kOutputs, 2}, 1409);
  const auto head = torch::linear(x, encode);
  const auto mu = head.narrow(1, 0, 2), log_v = head.narrow(1, 2, 2);
  const auto code = mu + (0.5 * log_v).exp() * randn({kExamples, 2}, 1410);
  const auto z = torch::linear(code, decode);
  const auto coins = torch::binary_cross_entropy_with_logits(z, x, {}, {}, at::Reduction::Sum);
  const auto divergence = -0.5 * (1 + log_v - mu.pow(2) - log_v.exp()).sum();
  const LossGraph graph((coins + divergence) / kExamples, {encode, decode});
  EXPECT_EQ(graph.terms().size(), 3u);
  EXPECT_EQ(graph.outputs(), 3u);
  const auto of = [&](const Tensor& outputs, const Tensor& f) {
    const auto j = jacobian(outputs, {encode, decode});
    return j.t().mm(f.detach().reshape({-1, 1}) * j) / kExamples;
  };
  const auto expected = of(z, z.sigmoid() * (-z).sigmoid()) + of(mu, torch::ones_like(mu)) +
                        of(log_v, 0.5 * log_v.exp());
  EXPECT_LT(relative_error(dense(fisher(graph)), expected), kRounding);
  const auto loss = (coins + divergence) / kExamples;
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, {encode, decode})), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::hand_written_terms_test
