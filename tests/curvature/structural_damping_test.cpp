#include <natgrad/curvature/structural_damping.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/hidden_states.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::structural_damping_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kDoubleBackward = 1e-10;  // theory's bar in double
constexpr double kRounding = 1e-13;        // sums of a few dozen terms

using Distance = HiddenDistance;

constexpr int64_t kSteps = 4, kBatch = 5, kInputs = 2, kUnits = 3;

/// h_t = φ(x_t W_x + h_{t-1} W_h + b), z = h_T W_o under cross-entropy; φ is tanh or logistic, as
/// the distance has it.
struct Recurrent {
  explicit Recurrent(Distance distance) : distance(distance) {}

  std::vector<Tensor> states(bool is_marked) const {
    std::vector<Tensor> states;
    Tensor h = torch::zeros({kBatch, kUnits}, torch::kDouble);
    for (const auto& input : x.unbind()) {
      const auto a = torch::addmm(b, input, input_weights) + h.mm(hidden_weights);
      h = distance == Distance::LogisticCrossEntropy ? torch::sigmoid(a) : torch::tanh(a);
      if (is_marked) h = hidden(h, distance);
      states.push_back(h);
    }
    return states;
  }
  Tensor loss() const { return F::cross_entropy(states(true).back().mm(output_weights), y); }
  LossGraph graph() const { return {loss(), parameters()}; }
  std::vector<Tensor> parameters() const {
    return {input_weights, hidden_weights, b, output_weights};
  }

  Distance distance;
  Tensor input_weights = parameter({kInputs, kUnits}, 11);
  Tensor hidden_weights = parameter({kUnits, kUnits}, 12);
  Tensor b = parameter({kUnits}, 13), output_weights = parameter({kUnits, 2}, 14);
  Tensor x = randn({kSteps, kBatch, kInputs}, 15), y = torch::tensor({0, 1, 1, 0, 1});
};

/// D(h, h') summed over units and examples, in its own words.
Tensor distance_between(const Tensor& h, const Tensor& moved, Distance distance) {
  if (distance == Distance::Squared) return 0.5 * (moved - h).pow(2).sum();
  const bool logistic = distance == Distance::LogisticCrossEntropy;
  const auto q = logistic ? h : (1 + h) / 2, p = logistic ? moved : (1 + moved) / 2;
  return -(q * p.log() + (1 - q) * (1 - p).log()).sum();
}

/// The Hessian in δ at 0 of the mean over the examples of Σ_t D(h_t(θ), h_t(θ + δ)).
Tensor hessian_of_distances(const Recurrent& network) {
  auto total = torch::zeros({}, torch::kDouble);
  for (const auto& moved : network.states(false)) {
    total = total + distance_between(moved.detach(), moved, network.distance);
  }
  return hessian(total / double(kBatch), network.parameters()).detach();
}

struct StructuralMatrix : ::testing::TestWithParam<Distance> {
  Recurrent network{GetParam()};
};

TEST_P(StructuralMatrix, IsTheHessianOfTheDistances) {
  const auto S = structural_matrix(network.graph());
  EXPECT_LT(relative_error(dense(S), hessian_of_distances(network)), kDoubleBackward);
}

TEST_P(StructuralMatrix, MultipliesOneColumnAsMany) {
  const auto S = structural_matrix(network.graph());
  const auto v = randn({S.size()}, 16);
  EXPECT_LT(relative_error(S.multiply(v), dense(S).mv(v)), kRounding);
}

TEST_P(StructuralMatrix, IsSymmetricAndPositiveSemidefinite) {
  const auto S = dense(structural_matrix(network.graph()));
  EXPECT_LT(relative_error(S, S.t()), kRounding);
  const auto eigenvalues = torch::linalg_eigvalsh(0.5 * (S + S.t()));
  EXPECT_GT(eigenvalues.min().item<double>(), -kRounding * eigenvalues.max().item<double>());
  // No state depends on the output's weights.
  EXPECT_EQ(S.slice(0, S.size(0) - network.output_weights.numel()).abs().max().item<double>(), 0);
}

TEST_P(StructuralMatrix, IsAMeanOverTheExamples) {
  const auto once = dense(structural_matrix(network.graph()));
  auto twice = network;
  twice.x = torch::cat({network.x, network.x}, 1);
  twice.y = torch::cat({network.y, network.y});
  const auto loss = [&] {
    auto h = torch::zeros({2 * kBatch, kUnits}, torch::kDouble);
    for (const auto& input : twice.x.unbind()) {
      const auto a = torch::addmm(twice.b, input, twice.input_weights) + h.mm(twice.hidden_weights);
      const bool logistic = twice.distance == Distance::LogisticCrossEntropy;
      h = hidden(logistic ? torch::sigmoid(a) : torch::tanh(a), twice.distance);
    }
    return F::cross_entropy(h.mm(twice.output_weights), twice.y);
  };
  const LossGraph graph(loss(), twice.parameters());
  EXPECT_LT(relative_error(dense(structural_matrix(graph)), once), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Distances, StructuralMatrix,
                         ::testing::Values(Distance::Squared, Distance::LogisticCrossEntropy,
                                           Distance::TanhCrossEntropy));

TEST(StructuralDampingTest, IsTheIdentityAndMuTimesTheMatrix) {
  const Recurrent network(Distance::TanhCrossEntropy);
  const auto S = hessian_of_distances(network);
  for (const double mu : {0.03, 2.}) {
    const auto expected = torch::eye(S.size(0), torch::kDouble) + mu * S;
    EXPECT_LT(relative_error(dense(StructuralDamping(mu).at(network.graph())), expected),
              kDoubleBackward);
  }
}

TEST(StructuralDampingTest, MoreOfItMovesTheStatesLess) {
  // δ minimises a quadratic model + ½λδᵀδ + ½λμ δᵀSδ: the last factor falls as its weight grows.
  const Recurrent network(Distance::Squared);
  const auto graph = network.graph();
  const auto C = dense(gauss_newton(graph)), S = dense(structural_matrix(graph));
  double moved = std::numeric_limits<double>::infinity();
  for (const double mu : {0.01, 0.1, 1., 10.}) {
    const auto A = C + 0.1 * dense(StructuralDamping(mu).at(graph));
    const auto step = torch::linalg_solve(A, -graph.gradient());
    const double change = step.dot(S.mv(step)).item<double>();
    EXPECT_LT(change, moved);
    moved = change;
  }
}

TEST(StructuralDampingTest, TakesALossThatCannotBeRead) {
  const Recurrent network(Distance::Squared);
  const auto loss = network.states(true).back().mm(network.output_weights).pow(4).sum().sqrt();
  const LossGraph graph(loss, network.parameters(), Terms::WhenAsked);
  ASSERT_FALSE(graph.is_readable());
  const StructuralDamping damping(1);
  const auto expected =
      torch::eye(graph.parameters().size(), torch::kDouble) + hessian_of_distances(network);
  EXPECT_LT(relative_error(dense(damping.at(graph)), expected), kDoubleBackward);
}

TEST(StructuralDampingTest, FrozenParametersHaveNoStates) {
  Recurrent network(Distance::Squared);
  network.hidden_weights.requires_grad_(false);
  const auto S = dense(structural_matrix(network.graph()));
  const auto rows = S.narrow(0, kInputs * kUnits, kUnits * kUnits);
  EXPECT_EQ(rows.abs().max().item<double>(), 0);
  EXPECT_GT(S.diagonal().max().item<double>(), 0);
}

TEST(StructuralDampingTest, OfSaturatedUnitsIsFinite) {
  // In float32 tanh(20) is 1, and H_D would be infinite.
  const auto w = torch::full({1, 2}, 20.F).requires_grad_(true);
  const auto h = hidden(torch::tanh(torch::ones({3, 1}).mm(w)), Distance::TanhCrossEntropy);
  ASSERT_EQ(h.min().item<float>(), 1);
  const LossGraph graph(h.sum(), {w}, Terms::WhenAsked);
  EXPECT_EQ(dense(structural_matrix(graph)).abs().max().item<float>(), 0);
}

TEST(StructuralDampingTest, WithoutMarksThrows) {
  const Recurrent network(Distance::Squared);
  const auto loss =
      F::cross_entropy(network.states(false).back().mm(network.output_weights), network.y);
  const LossGraph graph(loss, network.parameters());
  expect_error([&] { StructuralDamping().at(graph); }, "natgrad::hidden");
}

TEST(StructuralDampingTest, WithoutAPositiveFiniteMuThrows) {
  for (const double mu : {0., -1., HUGE_VAL, std::nan("")}) {
    expect_error([&] { StructuralDamping{mu}; }, "μ > 0");
  }
}

TEST(StructuralDampingTest, DescribesAndCopiesItself) {
  EXPECT_EQ(StructuralDamping(0.3).clone()->describe(), "StructuralDamping(mu=0.3)");
  EXPECT_NE(StructuralDamping(0.3).describe(), StructuralDamping().describe());
}

}  // namespace
}  // namespace natgrad::testing::structural_damping_test
