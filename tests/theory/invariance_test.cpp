// How curvature matrices change with the parameters θ = g(γ): C_γ = J_gᵀ C_θ J_g, so that J_g d_γ =
// d_θ, for every matrix of the form E[J_fᵀ A J_f] (Martens, "New perspectives", section 10, eq. 7
// to 9). A is said to be invertible there; that C is suffices: the A of the empirical Fisher matrix
// has rank one, and A may be indefinite.

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/bernoulli.h>

#include "theory/reparameterisation.h"
#include "theory/small_network.h"

namespace natgrad::testing::invariance_test {
namespace {

constexpr double kRounding = 1e-11;

using Objective = std::function<Tensor(const SmallNetwork&, const Tensor& z)>;

struct InvariantMatrix {
  std::string name;
  Objective loss;
  std::function<Tensor(const LossGraph&)> matrix;
};

std::ostream& operator<<(std::ostream& out, const InvariantMatrix& c) { return out << c.name; }

Tensor binary(const SmallNetwork& network) { return (network.targets > 0).to(torch::kDouble); }

/// 1, -1, 1, ... for the examples.
Tensor alternating(const Tensor& z) {
  return (1 - 2 * (torch::arange(z.size(0)) % 2)).to(torch::kDouble).unsqueeze(1);
}

const std::vector<InvariantMatrix> kMatrices = {
    {"Fisher", [](auto& network, auto& z) { return nll(Bernoulli(z), binary(network)); },
     [](auto& graph) { return dense(fisher(graph)); }},
    {"GaussNewton",
     [](auto& network, auto& z) { return (outputs(z) - network.targets).pow(4).mean(); },
     [](auto& graph) { return dense(gauss_newton(graph)); }},
    {"IndefiniteA", [](auto&, auto& z) { return (alternating(z) * outputs(z).cosh()).mean(); },
     [](auto& graph) { return dense(gauss_newton(graph)); }},
};

struct Invariance : ::testing::TestWithParam<InvariantMatrix> {
  const SmallNetwork network{631, 20, 1};
  const Reparameterisation g{network.theta().numel(), 6311};
  const Tensor gamma = randn(network.theta().sizes(), 6312).requires_grad_();
  const Tensor theta = g(gamma).detach().requires_grad_();
  const Tensor J = g.jacobian(gamma);

  LossGraph of_theta() const {
    return LossGraph(GetParam().loss(network, network.forward_at(theta)), {theta});
  }
  LossGraph of_gamma() const {
    return LossGraph(GetParam().loss(network, network.forward_at(g(gamma))), {gamma});
  }
};

TEST_P(Invariance, MatricesChangeAsMetrics) {
  const auto C = GetParam().matrix(of_theta());
  EXPECT_LT(relative_error(GetParam().matrix(of_gamma()), J.t().mm(C).mm(J)), kRounding);
  EXPECT_GT(relative_error(GetParam().matrix(of_gamma()), C), 0.1);
}

TEST_P(Invariance, DirectionsChangeAsVectors) {
  const auto direction = [](const Tensor& matrix, const LossGraph& graph) {
    return -torch::linalg_solve(matrix, graph.gradient());
  };
  const auto d_theta = direction(GetParam().matrix(of_theta()), of_theta());
  const auto d_gamma = direction(GetParam().matrix(of_gamma()), of_gamma());
  EXPECT_LT(relative_error(J.mv(d_gamma), d_theta), 1e-7);  // condition up to 1e5
}

TEST_P(Invariance, HessiansDoNot) {
  // H_γ = J_gᵀ H J_g + Σⱼ [∇h]ⱼ H_{[g]ⱼ}; the paper's mean over S is of this constant.
  const auto changed = J.t().mm(dense(natgrad::hessian(of_theta()))).mm(J);
  const auto h = GetParam().loss(network, network.forward_at(theta));
  const auto rest = hessian(gradient_of(h, {theta}).dot(g(gamma)), {gamma});
  EXPECT_LT(relative_error(dense(natgrad::hessian(of_gamma())), changed + rest), kRounding);
  EXPECT_GT(relative_error(changed, changed + rest), 0.01);
}

INSTANTIATE_TEST_SUITE_P(Matrices, Invariance, ::testing::ValuesIn(kMatrices),
                         [](const auto& info) { return info.param.name; });

TEST(InvarianceTest, IndefiniteAIsIndefinite) {
  const SmallNetwork network(631, 20, 1);
  const auto loss = kMatrices[2].loss(network, network.forward());
  const auto eigenvalues = torch::linalg_eigvalsh(gauss_newton_of(loss, network.parameters));
  EXPECT_LT(eigenvalues[0].item<double>(), -1e-2);
  EXPECT_GT(eigenvalues[-1].item<double>(), 1e-2);
}

TEST(InvarianceTest, OfTheEmpiricalFisherMatrixWhoseAHasRankOne) {
  const SmallNetwork network(632, 20, 1);
  const Reparameterisation g(network.theta().numel(), 6321);
  const auto gamma = randn(network.theta().sizes(), 6322).requires_grad_();
  const auto theta = g(gamma).detach().requires_grad_();
  const auto empirical = [&](const Tensor& parameters, const Tensor& z) {
    return dense(empirical_fisher(LossGraph(nll(Bernoulli(z), binary(network)), {parameters})));
  };
  const auto J = g.jacobian(gamma);
  const auto of_theta = empirical(theta, network.forward_at(theta));
  const auto of_gamma = empirical(gamma, network.forward_at(g(gamma)));
  EXPECT_LT(relative_error(of_gamma, J.t().mm(of_theta).mm(J)), kRounding);
}

TEST(InvarianceTest, NeedsAnInvertibleJacobian) {
  // "J_g is invertible (since g is)": g(γ) = γ³ is, but not its Jacobian at 0, where γ is stuck.
  const auto x = randn({10}, 6331), y = randn({10}, 6332);
  const auto gamma = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto theta = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto loss = [&](const Tensor& slope) { return nll(Gaussian(x * slope), y); };
  NaturalGradient by_gamma({gamma}, plain_natural_gradient(1));
  NaturalGradient by_theta({theta}, plain_natural_gradient(1));
  by_gamma.step(loss(gamma.pow(3)));
  by_theta.step(loss(theta));
  EXPECT_EQ(by_gamma.summary().outcome, StepOutcome::ZeroGradient);
  EXPECT_EQ(by_theta.summary().outcome, StepOutcome::Accepted);
}

}  // namespace
}  // namespace natgrad::testing::invariance_test
