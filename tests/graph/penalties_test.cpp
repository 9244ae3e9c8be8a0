// Parts of the loss that depend on parameters past all terms: their gradient is part of ∇h, their
// Hessian is exact, and what is no penalty is refused.

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::penalties_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-12;  // double backward of a few elementwise functions

using Parameters = std::vector<Tensor>;

struct PenaltyCase {
  std::string name;
  std::function<Tensor(const Parameters& p)> penalty;
};

std::ostream& operator<<(std::ostream& out, const PenaltyCase& c) { return out << c.name; }

Tensor cross_entropy(const Network& network) {
  return F::cross_entropy(network.forward(), torch::tensor({0, 2, 5, 2}));
}

struct Penalties : ::testing::TestWithParam<PenaltyCase> {
  Network network = tanh_network();
  Tensor R = GetParam().penalty(network.parameters);
  LossGraph graph = LossGraph(cross_entropy(network) + R, network.parameters);
};

TEST_P(Penalties, HaveTheirHessian) {
  EXPECT_TRUE(graph.has_penalties());
  const auto expected = hessian(R, network.parameters);
  EXPECT_LT(relative_error(dense(penalty_hessian(graph)), expected), kRounding);
}

TEST_P(Penalties, ArePartOfTheGradient) {
  const auto h = cross_entropy(network) + GetParam().penalty(network.parameters);
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(h, network.parameters)), kRounding);
}

TEST_P(Penalties, LeaveTheTermsAlone) {
  const LossGraph plain(cross_entropy(network), network.parameters);
  EXPECT_EQ(graph.terms().size(), 1u);
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), dense(gauss_newton(plain))), kRounding);
}

Tensor l2(const Parameters& p) {
  auto sum = torch::zeros({}, torch::kDouble);
  for (const auto& w : p) sum = sum + w.pow(2).sum();
  return sum;
}

Tensor gram_error(const Tensor& w) {
  return (w.mm(w.t()) - torch::eye(w.size(0), torch::kDouble)).square().sum();
}

const std::vector<PenaltyCase> kPenalties = {
    {"L2", [](auto& p) { return 1e-2 * l2(p); }},
    {"L2OfOneMatrix", [](auto& p) { return 0.5 * (p[0] * p[0]).mean(); }},
    {"L1", [](auto& p) { return 1e-2 * (p[0].abs().sum() + p[1].abs().mean()); }},
    {"SmoothedL1", [](auto& p) { return (p[0].square() + 1e-2).sqrt().sum(); }},
    {"Norm", [](auto& p) { return p[0].norm() + p[2].norm(2, 1).sum(); }},
    {"NormOfAll", [](auto& p) { return l2(p).sqrt(); }},
    {"OfAView", [](auto& p) { return p[0].t().slice(0, 0, 2).reshape(-1).pow(4).sum(); }},
    {"OfAStack",
     [](auto& p) {
       return torch::stack({p[1].norm(), p[3].norm()}).square().mean();
     }},
    {"Marked", [](auto& p) { return 1e-2 * penalty(gram_error(p[0])); }},
    {"MarkedVector", [](auto& p) { return penalty(p[2].mm(p[2].t()).diagonal()).sum(); }},
    {"MarkedBesideElementwise",
     [](auto& p) { return penalty(gram_error(p[0])) + 1e-3 * p[0].pow(2).sum(); }},
};

INSTANTIATE_TEST_SUITE_P(Cases, Penalties, ::testing::ValuesIn(kPenalties), ByName());

struct PenaltyReading : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor ce = F::cross_entropy(z, torch::tensor({0, 2, 5, 2}));
  const Tensor& w = network.parameters[0];

  LossGraph read(const Tensor& loss) const { return LossGraph(loss, network.parameters); }
};

TEST_F(PenaltyReading, WithoutAnyTheHessianIsZero) {
  const auto graph = read(ce);
  EXPECT_FALSE(graph.has_penalties());
  EXPECT_EQ(dense(penalty_hessian(graph)).abs().max().item<double>(), 0);
}

TEST_F(PenaltyReading, OfAFunctionOfTheOutputsIsNoPenalty) {
  expect_error([&] { read(ce + z.pow(3).mean()); }, "natgrad::outputs");
  const auto graph = read(ce + z.pow(2).mean());  // a Gaussian's
  EXPECT_FALSE(graph.has_penalties());
  EXPECT_EQ(graph.terms().size(), 2u);
}

TEST_F(PenaltyReading, OfAMatrixProductIsRefusedWithTheMarksName) {
  expect_error_naming([&] { read(ce + w.mm(w.t()).tanh().sum()); },
                      {"MmBackward0", "natgrad::penalty", "natgrad::outputs"});
}

TEST_F(PenaltyReading, AParameterAgainstBroadcastDataIsNoPenalty) {
  // A model written by hand, slope·x + offset, is elementwise too.
  const auto slope = parameter({}, 1), offset = parameter({}, 2);
  const auto x = randn({kExamples}, 3);
  const auto error = slope * x + offset - 1;
  expect_error(
      [&] {
        LossGraph(ce + error.pow(4).mean(), {slope, offset, w});
      },
      "natgrad::outputs");
  const LossGraph graph(ce + error.square().mean(), {slope, offset, w});
  EXPECT_FALSE(graph.has_penalties());
  EXPECT_EQ(graph.terms().size(), 2u);
}

TEST_F(PenaltyReading, AFactorOfTheLossIsRefused) {
  const auto s = parameter({}, 4);
  auto parameters = network.parameters;
  parameters.push_back(s);
  for (const auto& loss : {(ce + s * s).log(), ce / s.square() + s.log(), ce * (1 + ce) * s}) {
    expect_error([&] { LossGraph(loss, parameters); }, "not linear");
  }
}

// exp(-s) L + s, of Gaussian or tempered likelihoods: block by block the Hessian, without what
// mixes s and the network.
TEST_F(PenaltyReading, ALearnedWeightIsReadBlockByBlock) {
  const auto s = parameter({}, 4);
  auto parameters = network.parameters;
  parameters.push_back(s);
  const auto loss = (-s).exp() * ce + s;
  const LossGraph graph(loss, parameters);
  const auto count = graph.parameters().size() - 1;
  const auto tempered = (-s.detach()).exp() * ce;
  const auto network_alone = dense(gauss_newton(LossGraph(tempered, network.parameters)));
  const auto C = dense(gauss_newton(graph) + penalty_hessian(graph));
  EXPECT_LT(relative_error(C.narrow(0, 0, count).narrow(1, 0, count), network_alone), kRounding);
  EXPECT_LT(relative_error(C[count][count], tempered.detach()), kRounding);
  EXPECT_EQ(C.narrow(0, 0, count).select(1, count).abs().max().item<double>(), 0);
  const auto whole = torch::cat(
      {LossGraph(tempered, network.parameters).gradient(), (1 - tempered.detach()).view({1})});
  EXPECT_LT(relative_error(graph.gradient(), whole), kRounding);
}

TEST_F(PenaltyReading, ALearnedWeightIsAnOutputOfTheModel) {
  const auto s = parameter({}, 4);
  auto parameters = network.parameters;
  parameters.push_back(s);
  const auto loss_of = [](const Tensor& z, const Tensor& s) {
    return (-s).exp() * (z - 1).pow(2).mean() + s;
  };
  expect_error([&] { LossGraph(loss_of(outputs(z), s), parameters); }, "not linear");
  const LossGraph graph(loss_of(outputs(z), outputs(s)), parameters);
  const auto h = hessian(loss_of(z, s), {z, s});
  const auto j = torch::cat({jacobian(z, parameters), jacobian(s, parameters)});
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), j.t().mm(h).mm(j)), kRounding);
}

TEST_F(PenaltyReading, ALossOfParametersAloneIsAPenalty) {
  const auto start = torch::zeros_like(w);
  for (const auto& distance : {F::mse_loss(w, start), F::smooth_l1_loss(w, start),
                               (w - start).abs().sum(), -torch::log_sigmoid(w).sum()}) {
    const auto graph = read(ce + distance);
    EXPECT_TRUE(graph.has_penalties());
    EXPECT_EQ(graph.terms().size(), 1u);
    EXPECT_EQ(graph.examples(), kExamples);
    const auto expected = hessian(distance, network.parameters);
    EXPECT_LT(relative_error(dense(penalty_hessian(graph)), expected), kRounding);
  }
}

TEST_F(PenaltyReading, ALossOfParametersAloneIsATermIfThereIsNoOther) {
  const auto graph = read(F::mse_loss(w, torch::zeros_like(w)));
  EXPECT_FALSE(graph.has_penalties());
  EXPECT_EQ(graph.terms().size(), 1u);
}

TEST_F(PenaltyReading, OfMarkedOutputsIsPartOfTheUsersLoss) {
  const auto graph = read(penalty(outputs(z).pow(2).sum()) + outputs(z).exp().sum());
  EXPECT_FALSE(graph.has_penalties());
}

TEST_F(PenaltyReading, OnlyPenaltiesAreNoLoss) {
  expect_error([&] { read(w.pow(4).sum()); }, "natgrad::outputs");
}

}  // namespace
}  // namespace natgrad::testing::penalties_test
