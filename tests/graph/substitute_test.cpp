// Losses that cannot be read, taken as functions of outputs that natgrad finds by itself.

#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::substitute_test {
namespace {

namespace F = torch::nn::functional;

// Double backward of a few dozen functions of numbers near one, in double.
constexpr double kRounding = 1e-11;

LossGraph substituted(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return LossGraph(loss, parameters, RandomStreams(), Terms::Required, Unread::Substitute);
}

/// What is said of the loss if it is not to be substituted.
std::string refusal_of(const Tensor& loss, const std::vector<Tensor>& parameters) {
  try {
    LossGraph(loss, parameters);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "";
}

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor signs() { return torch::where(randn({kExamples, kOutputs}, 1501) > 0, 1.0, -1.0); }
Tensor advantages() { return randn({kExamples}, 1502); }
Tensor chosen(const Tensor& log_p) { return log_p.gather(1, labels().unsqueeze(1)).squeeze(1); }
Tensor hinge(const Tensor& z) { return (1 - signs().narrow(1, 0, z.size(1)) * z).relu().mean(); }

/// A network, the outputs that should be found, and a loss of these.
struct Found {
  std::vector<Tensor> parameters;
  Outputs outputs;
  std::function<Tensor(const Outputs& z)> loss;
};

struct SubstituteCase {
  std::string name;
  std::string distribution;  ///< that all outputs are given; empty: none
  std::function<Found()> make;
};

std::ostream& operator<<(std::ostream& out, const SubstituteCase& c) { return out << c.name; }

/// z of [4, 6] is the last layer's result.
std::function<Found()> of_one_network(const std::function<Tensor(const Tensor& z)>& loss) {
  return [=]() -> Found {
    const auto network = tanh_network();
    return {network.parameters, {network.forward()}, [=](const Outputs& z) { return loss(z[0]); }};
  };
}

/// Heads of this width on one hidden layer.
Found heads(const std::vector<int64_t>& widths,
            const std::function<Tensor(const Outputs& z)>& loss) {
  const auto w = parameter({5, 3}, 1503);
  const auto h = torch::linear(randn({kExamples, 3}, 1504), w).tanh();
  Found found{{w}, {}, loss};
  for (const auto width : widths) {
    const auto head = parameter({width, 5}, 1505 + found.parameters.size());
    const auto bias = parameter({width}, 1515 + found.parameters.size());
    found.parameters.insert(found.parameters.end(), {head, bias});
    found.outputs.push_back(torch::linear(h, head, bias));
  }
  return found;
}

Tensor focal(const Tensor& z) {
  const auto each = -chosen(z.log_softmax(1));
  return ((1 - (-each).exp()).pow(2) * each).mean();
}

Tensor focal_coins(const Tensor& z) {
  const auto p = z.sigmoid(), y = signs().select(1, 0).relu();
  const auto q = y * p + (1 - y) * (1 - p);
  return -((1 - q).square() * q.log()).mean();
}

Tensor policy(const Tensor& z) {
  const auto log_p = z.log_softmax(1), p = z.softmax(1);
  return -(advantages() * chosen(log_p)).mean() + 0.1 * (p * log_p).sum(1).mean();
}

Tensor clipped_policy(const Tensor& z) {
  const auto ratio = (chosen(z.log_softmax(1)) + 1.5).exp();
  const auto a = advantages();
  return -torch::minimum(ratio * a, ratio.clamp(0.8, 1.2) * a).mean();
}

Tensor dice(const Tensor& z) {
  const auto p = z.sigmoid(), y = signs().select(1, 0).relu();
  return 1 - 2 * (p * y).sum() / (p.sum() + y.sum());
}

/// Weights, means and logarithms of widths of three Gaussians.
Tensor mixture(const Tensor& logits, const Tensor& mu, const Tensor& log_width) {
  const auto y = randn({kExamples, 1}, 1506);
  const auto each = -0.5 * ((y - mu) * (-log_width).exp()).square() - log_width;
  return -(logits.log_softmax(1) + each).logsumexp(1).mean();
}

Tensor pinball(const Tensor& z) {
  const auto e = signs() - z;
  return torch::maximum(0.9 * e, -0.1 * e).mean();
}

std::vector<SubstituteCase> cases() {
  const auto of_first = [](const std::function<Tensor(const Tensor& z)>& loss) {
    return [=]() -> Found {
      const auto network = tanh_network();
      return {network.parameters, {network.forward().select(1, 0)}, [=](const Outputs& z) {
                return loss(z[0]);
              }};
    };
  };
  return {
      {"Hinge", "", of_one_network(hinge)},
      {"Pinball", "", of_one_network(pinball)},
      {"LogCosh", "", of_one_network([](auto& z) { return z.cosh().log().mean(); })},
      {"RootOfMeanSquare", "",
       of_one_network([](auto& z) { return F::mse_loss(z, signs()).sqrt(); })},
      {"Focal", "Categorical", of_one_network(focal)},
      {"LogOfCrossEntropy", "Categorical",
       of_one_network([](auto& z) { return F::cross_entropy(z, labels()).log(); })},
      {"EntropyBonus", "Categorical", of_one_network(policy)},
      {"ClippedPolicy", "Categorical", of_one_network(clipped_policy)},
      {"FocalCoins", "Bernoulli", of_first(focal_coins)},
      {"Dice", "Bernoulli", of_first(dice)},
      {"MixtureOfOneHead", "", of_one_network([](auto& z) {
         return mixture(z.narrow(1, 0, 2), z.narrow(1, 2, 2), z.narrow(1, 4, 2));
       })},
      {"MixtureOfThreeHeads", "",
       [] {
         return heads({3, 3, 3}, [](const Outputs& z) { return mixture(z[0], z[1], z[2]); });
       }},
      {"TwoHeadsUnderOneFunction", "",
       [] {
         return heads({3, 3}, [](const Outputs& z) {
           return ((z[0] * z[1]).tanh().square() + 1).log().mean();
         });
       }},
      {"FactorsOfAMatrix", "",
       []() -> Found {
         const auto rows = parameter({5, 3}, 1507), columns = parameter({6, 3}, 1508);
         const auto u = torch::embedding(rows, torch::tensor({0, 3, 3, 1}));
         const auto v = torch::embedding(columns, torch::tensor({5, 0, 2, 2}));
         return {{rows, columns}, {u, v}, [](const Outputs& z) {
                   return (1 - signs().select(1, 0) * (z[0] * z[1]).sum(1)).relu().mean();
                 }};
       }},
  };
}

struct Substitutes : ::testing::TestWithParam<SubstituteCase> {
  Found found = GetParam().make();
  Tensor loss = found.loss(found.outputs);
  LossGraph graph = substituted(loss, found.parameters);
};

TEST_P(Substitutes, AreTheseOutputs) {
  EXPECT_EQ(graph.outputs(), found.outputs.size());
  for (const auto& z : found.outputs) EXPECT_NO_THROW(output_of(graph, z));
  EXPECT_FALSE(graph.has_penalties());
}

TEST_P(Substitutes, HaveTheirDistributionAtAllOrNone) {
  for (const auto& term : graph.terms()) {
    EXPECT_TRUE(term.is_own());
    ASSERT_EQ(term.likelihood != nullptr, !GetParam().distribution.empty());
    if (!term.likelihood) continue;
    EXPECT_EQ(term.likelihood->describe().rfind(GetParam().distribution + "(", 0), 0u)
        << term.likelihood->describe();
    const auto& z = found.outputs[0];
    EXPECT_EQ(term.likelihood->outputs().sizes(), z.sizes());
  }
}

TEST_P(Substitutes, AreSaidWithTheReason) {
  EXPECT_NE(graph.substitutes(), "");
  EXPECT_EQ(refusal_of(loss, found.parameters), graph.substitutes());
}

TEST_P(Substitutes, HaveTheLossesGradient) {
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, found.parameters)), kRounding);
  EXPECT_LT(relative_error(term_gradients(graph, found.outputs), gradient_of(loss, found.outputs)),
            kRounding);
}

TEST_P(Substitutes, HaveTheLossesHessianInThem) {
  Outputs leaves;
  for (const auto& z : found.outputs) leaves.push_back(z.detach().clone().requires_grad_());
  const auto expected = hessian(found.loss(leaves), leaves);
  EXPECT_LT(relative_error(dense_loss_hessian(graph, found.outputs), expected), kRounding);
}

TEST_P(Substitutes, PullBackThroughTheNetwork) {
  std::vector<Tensor> u(found.outputs.size()), flat_u;
  for (const auto& z : found.outputs) {
    flat_u.push_back(randn(z.sizes(), 1509));
    u[output_of(graph, z)] = flat_u.back();
  }
  std::vector<Tensor> rows;
  for (const auto& z : found.outputs) rows.push_back(jacobian(z, found.parameters));
  EXPECT_LT(
      relative_error(graph.multiply_jacobian_transposed(u), torch::cat(rows).t().mv(flat(flat_u))),
      kRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, Substitutes, ::testing::ValuesIn(cases()), ByName());

// ---- Beside what is known. ----

struct SubstituteTest : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  const std::vector<Tensor>& p = network.parameters;
};

TEST_F(SubstituteTest, PenaltiesByHandStayPenalties) {
  const auto l2 = 0.1 * p[0].square().sum() + 0.1 * (p[2] * p[2]).sum();
  const auto identity = torch::eye(p[0].size(0), torch::kDouble);
  const auto orthogonality = (p[0].mm(p[0].t()) - identity).square().sum();
  for (const auto& penalty : {l2, orthogonality, l2 + 0.3 * orthogonality}) {
    const auto graph = substituted(hinge(z) + penalty, p);
    EXPECT_TRUE(graph.has_penalties());
    EXPECT_EQ(graph.terms().size(), 1u);
    EXPECT_EQ(graph.outputs(), 1u);
    EXPECT_NO_THROW(output_of(graph, z));
    EXPECT_LT(relative_error(dense(penalty_hessian(graph)), hessian(penalty, p)), kRounding);
    EXPECT_LT(relative_error(graph.gradient(), gradient_of(hinge(z) + penalty, p)), kRounding);
    EXPECT_LT(relative_error(term_gradients(graph, {z}), gradient_of(hinge(z), {z})), kRounding);
  }
}

TEST_F(SubstituteTest, APenaltyThatTheLossIsNotLinearInIsRefusedWithTheFirstReason) {
  const auto loss = (hinge(z) + p[0].square().sum()).log();
  const auto reason = refusal_of(loss, p);
  ASSERT_NE(reason, "");
  expect_error([&] { substituted(loss, p); }, reason);
}

TEST_F(SubstituteTest, ALossWithoutAnyNetworkIsRefusedWithTheFirstReason) {
  const auto loss = p[0].square().sum().log();
  const auto reason = refusal_of(loss, p);
  ASSERT_NE(reason, "");
  expect_error([&] { substituted(loss, p); }, reason);
}

TEST_F(SubstituteTest, WithoutLeaveTheLossIsRefused) {
  expect_error([&] { LossGraph(hinge(z), p); }, "natgrad::outputs");
  const LossGraph graph(hinge(z), p, RandomStreams(), Terms::WhenAsked, Unread::Throw);
  EXPECT_FALSE(graph.is_readable());
  expect_error([&] { graph.substitutes(); }, "natgrad::outputs");
}

TEST_F(SubstituteTest, KnownTermsOfOtherHeadsStayTerms) {
  const auto found = heads({3, 2}, [](const Outputs& z) {
    const auto y = torch::tensor({0, 2, 1, 2});
    return F::cross_entropy(z[0], y) + z[1].cosh().log().mean();
  });
  const auto graph = substituted(found.loss(found.outputs), found.parameters);
  EXPECT_EQ(graph.outputs(), 2u);
  const auto known = output_of(graph, found.outputs[0]);
  for (const auto& term : graph.terms()) EXPECT_EQ(term.is_own(), term.output != known);
  const auto weights = weights_of(graph, found.outputs[0], categorical());
  EXPECT_LT(relative_error(weights, torch::full({kExamples, 3}, 0.25, torch::kDouble)), kRounding);
}

// An op whose backward cannot be differentiated: outputs and gradient are found all the same.
TEST_F(SubstituteTest, AnOpThatHasNoSecondDerivativeLeavesTheGradient) {
  const auto loss = F::ctc_loss(z.log_softmax(1).unsqueeze(1), torch::tensor({{1, 2}}),
                                torch::tensor({kExamples}), torch::tensor({2}));
  const auto graph = substituted(loss, p);
  EXPECT_EQ(graph.outputs(), 1u);
  EXPECT_LT(relative_error(graph.gradient(), gradient_of(loss, p)), kRounding);
  EXPECT_LT(relative_error(term_gradients(graph, {z}), gradient_of(loss, {z})), kRounding);
}

// ---- Losses that are read. ----

struct ReadAnyway : ::testing::TestWithParam<LossCase> {};

TEST_P(ReadAnyway, TheReadingIsTheSame) {
  const auto problem = make_problem(GetParam());
  const auto other = substituted(problem.loss, problem.network.parameters);
  EXPECT_EQ(other.substitutes(), "");
  EXPECT_TRUE(identical(other.gradient(), problem.graph.gradient()));
  const auto &terms = problem.graph.terms(), &others = other.terms();
  ASSERT_EQ(terms.size(), others.size());
  for (size_t k = 0; k < terms.size(); ++k) {
    EXPECT_EQ(terms[k].output, others[k].output);
    EXPECT_EQ(terms[k].is_own(), others[k].is_own());
    EXPECT_EQ(terms[k].likelihood ? terms[k].likelihood->describe() : "",
              others[k].likelihood ? others[k].likelihood->describe() : "");
    if (terms[k].is_own()) continue;
    EXPECT_TRUE(identical(terms[k].weights, others[k].weights));
  }
}

// The weights that L2 shrinks are no outputs, though the hinge is linear in them almost everywhere.
TEST_F(SubstituteTest, AHingeOfOneLinearLayerIsNotReadAsItsPenalty) {
  const auto w = parameter({1, 3}, 1);
  const auto z = torch::linear(randn({6, 3}, 2), w);
  const auto loss = torch::clamp_min(1 - z, 0).mean() + 0.1 * w.pow(2).sum();
  EXPECT_FALSE(LossGraph(loss, {w}, Terms::WhenAsked).is_readable());
  const LossGraph graph(loss, {w}, RandomStreams(), Terms::Required, Unread::Substitute);
  EXPECT_TRUE(graph.has_penalties());
  ASSERT_EQ(graph.terms().size(), 1u);
  EXPECT_EQ(graph.examples(), 6);
}

INSTANTIATE_TEST_SUITE_P(Losses, ReadAnyway, ::testing::ValuesIn(losses()), ByName());

}  // namespace
}  // namespace natgrad::testing::substitute_test
