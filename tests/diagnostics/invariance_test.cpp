// Paths in θ and in γ, θ = g(γ) (Martens, "New perspectives", section 10): the call against paths
// that are walked with closed forms and autograd's Jacobians, and against curvatures of which the
// claim does not hold.
#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/diagnostics/invariance.h>

#include "theory/small_network.h"

namespace natgrad::testing::invariance_check_test {
namespace {

// A few steps of dense solves of condition 10.
constexpr double kRounding = 1e-9;

/// Logistic regression with one tensor of three weights.
struct LogisticPaths : ::testing::Test {
  const Tensor x = randn({12, 3}, 6411), y = (randn({12}, 6412) > 0).to(torch::kDouble);
  const Tensor w = randn({3}, 6413).requires_grad_();
  const std::function<Tensor()> loss = [this] {
    return torch::binary_cross_entropy_with_logits(x.mv(w), y);
  };
  const Elementwise sinh = Elementwise::sinh();

  InvarianceReport check(const Curvature& curvature, const Reparametrisation& g,
                         double time = 1) const {
    const auto options = InvarianceOptions().time(time).steps({10, 20}).curvature(curvature);
    return invariance_check({w}, loss, g, options);
  }

  // The same by hand: J = ∂z/∂γ = x diag(cosh γ), F_R = p(1 - p), ∇_z L = p - y.
  Tensor theta_of(const Tensor& gamma, bool reparametrised) const {
    return reparametrised ? gamma.sinh() : gamma;
  }
  Tensor walk(bool reparametrised, int steps) const {
    auto at = reparametrised ? w.detach().asinh() : w.detach().clone();
    for (int k = 0; k < steps; ++k) {
      const auto J = reparametrised ? x * at.cosh() : x;
      const auto p = x.mv(theta_of(at, reparametrised)).sigmoid();
      const auto F = J.t().mm((p * (1 - p)).unsqueeze(1) * J);
      at = at - torch::linalg_solve(F, J.t().mv(p - y)) / steps;
    }
    return theta_of(at, reparametrised);
  }
};

TEST_F(LogisticPaths, AreThoseWalkedByHand) {
  const auto report = check(Fisher(), sinh);
  ASSERT_EQ(report.rows.size(), 2);
  for (size_t k = 0; k < 2; ++k) {
    const int steps = 10 << k;
    const auto in_theta = walk(false, steps), in_gamma = walk(true, steps);
    const double way = number((in_theta - w.detach()).norm());
    EXPECT_NEAR(report.rows[k].epsilon, 1. / steps, 1e-15);
    EXPECT_NEAR(report.rows[k].parameters / (number((in_theta - in_gamma).norm()) / way), 1,
                kRounding);
    // In distribution: √(mean of p(1 - p)(Δz)²), p at the end of the way in θ.
    const auto p = x.mv(in_theta).sigmoid();
    const auto length = [&](const Tensor& to) {
      return number((p * (1 - p) * x.mv(to - in_theta).square()).mean().sqrt());
    };
    EXPECT_NEAR(report.rows[k].difference / (length(in_gamma) / length(w.detach())), 1, kRounding);
  }
  EXPECT_TRUE(report.by_outputs);
}

TEST_F(LogisticPaths, MeetForAnyPulledBackMatrix) {
  const Metric indefinite("indefinite", [](const LossGraph& graph) {
    return pulled_back(graph, [](auto jv) {
      jv[0] = torch::linspace(1, -0.2, jv[0].numel(), torch::kDouble) * jv[0];
      return jv;
    });
  });
  const Metric opposite("-F", [](const LossGraph& graph) { return -1. * fisher(graph); });
  for (const auto& curvature : {Fisher().clone(), indefinite.clone(), opposite.clone()}) {
    const auto report = check(*curvature, sinh, 0.2);  // -F climbs, ever faster
    EXPECT_TRUE(report.holds && !report.exact) << report.message();
    EXPECT_NEAR(report.order, 1, 0.15) << report.message();
    EXPECT_LT(report.matrix_change, kRounding);
    EXPECT_LT(report.gradient_change, kRounding);
    EXPECT_EQ(report.rank, 3);
  }
}

TEST_F(LogisticPaths, StayApartForTheGradientAndForNewton) {
  for (const auto& curvature : {ParameterScales().clone(), Hessian().clone()}) {
    const auto report = check(*curvature, sinh);
    EXPECT_FALSE(report.holds) << report.message();
    EXPECT_NEAR(report.order, 0, 0.2) << report.message();  // Euler's steps have an O(ε) too
    EXPECT_GT(report.matrix_change, 0.05);
    EXPECT_LT(report.gradient_change, kRounding);  // which any h's has
  }
}

TEST_F(LogisticPaths, AreOneUnderAffineMaps) {
  const Affine affine(random_spd(3, 20, 6422), randn({3}, 6421));
  for (const auto& curvature : {Fisher().clone(), Hessian().clone(), EmpiricalFisher().clone()}) {
    const auto report = check(*curvature, affine);
    EXPECT_TRUE(report.holds && report.exact && report.is_affine) << report.message();
    EXPECT_LT(report.rows.front().parameters, kRounding);
  }
  EXPECT_FALSE(check(ParameterScales(), affine).holds);
}

TEST_F(LogisticPaths, ThatLeaveTheNumbersDoNotHold) {
  const Metric opposite("-F", [](const LossGraph& graph) { return -1. * fisher(graph); });
  const auto report = check(opposite, sinh, 1e4);
  EXPECT_FALSE(report.holds) << report.message();
  EXPECT_NE(report.message().find("take a shorter time"), std::string::npos) << report.message();
}

// ---- Curvatures that are not what they should be make it fail. ----

TEST_F(LogisticPaths, FailForASummandThatKnowsTheParameters) {
  const Metric shifted("F + 0.1 I", [](const LossGraph& graph) { return fisher(graph) + 0.1; });
  const Metric scaled("F by the size of γ", [](const LossGraph& graph) {
    return number(graph.parameters().values().norm()) * fisher(graph);
  });
  const Metric diagonal("diag F", [](const LossGraph& graph) {
    return diagonal_operator(dense(fisher(graph)).diagonal().clone());
  });
  const Affine mixing(random_spd(3, 20, 6422));
  for (const auto& wrong : {shifted.clone(), scaled.clone(), diagonal.clone()}) {
    const auto report = check(*wrong, mixing);
    EXPECT_FALSE(report.holds) << report.message();
    EXPECT_GT(report.matrix_change, 0.05) << report.message();
  }
  EXPECT_FALSE(check(shifted, sinh).holds);
  EXPECT_FALSE(check(scaled, sinh).holds);
  EXPECT_TRUE(check(diagonal, Elementwise::sinh()).holds);  // which keeps the axes
}

TEST_F(LogisticPaths, ShowAJacobianThatIsNotThatOfTheMap) {
  const Elementwise wrong(
      "sinh, wrongly", [](const Tensor& g) { return g.sinh(); },
      [](const Tensor& t) { return t.asinh(); }, [](const Tensor& g) { return 1.1 * g.cosh(); });
  EXPECT_NEAR(check(Fisher(), wrong).gradient_change, 0.1, 1e-6);
}

// ---- Networks: singular matrices, times that are chosen, and models left as they were. ----

TEST(InvarianceOfNetworks, IsOfDistributionsWhereSoftmaxMakesTheMatrixSingular) {
  const SmallNetwork network(632, 20, 3);
  const auto report = invariance_check(
      network.parameters,
      [&] { return torch::cross_entropy_loss(network.forward(), network.labels); },
      Elementwise::sinh());
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_NEAR(report.order, 1, 0.15);
  EXPECT_EQ(report.rank, 17);  // of 21: a number for all logits, whatever the three units are
  EXPECT_LT(report.time, 1);
}

TEST(InvarianceOfNetworks, IsSeenInFloat32) {
  const auto x = randn({12, 3}, 6411).to(torch::kFloat);
  const auto y = (randn({12}, 6412) > 0).to(torch::kFloat);
  const auto w = randn({3}, 6413).to(torch::kFloat).requires_grad_();
  const auto loss = [&] { return torch::binary_cross_entropy_with_logits(x.mv(w), y); };
  const auto options = InvarianceOptions().time(0.5).steps({5, 10}).curvature(Fisher());
  EXPECT_NEAR(invariance_check({w}, loss, Elementwise::sinh(), options).order, 1, 0.2);
  const auto affine = Affine::mixing(3, 10, 1, w);
  EXPECT_TRUE(invariance_check({w}, loss, affine, options).exact);
  EXPECT_FALSE(
      invariance_check({w}, loss, affine, InvarianceOptions(options).curvature(ParameterScales()))
          .holds);
}

TEST(InvarianceOfNetworks, ExpTakesParametersAboveItsOrigin) {
  const SmallNetwork network(633, 10, 1);
  const auto loss = [&] { return (outputs(network.forward()) - network.targets).pow(4).mean(); };
  const auto options = InvarianceOptions().curvature(GaussNewton()).steps({10, 20});
  const auto report = invariance_check(network.parameters, loss, Elementwise::exp(-6), options);
  EXPECT_FALSE(report.by_outputs);  // a loss of one's own
  EXPECT_EQ(report.rank, 10);       // examples, of 13 parameters
  EXPECT_LT(report.matrix_change, kRounding);
  expect_error([&] { invariance_check(network.parameters, loss, Elementwise::exp()); },
               "with an origin below");
}

TEST(InvarianceOfNetworks, LeavesTheModelAsItWas) {
  torch::manual_seed(3);
  torch::nn::Sequential model(torch::nn::Linear(2, 2), torch::nn::Dropout(0.5),
                              torch::nn::Linear(2, 1));
  model->to(torch::kDouble);
  const auto x = randn({8, 2}, 1), y = randn({8, 1}, 2);
  const auto loss = [&] { return torch::mse_loss(model->forward(x), y); };
  loss().backward();
  const auto before = flat(model->parameters()).detach().clone();
  const auto gradient = model->parameters()[0].grad().clone();
  const auto* memory = model->parameters()[0].data_ptr();
  const auto generator = torch::globalContext().defaultGenerator(torch::kCPU).get_state();
  // The same units are dropped each time, or the closure would be refused.
  const auto report =
      invariance_check(model->parameters(), loss, Elementwise::sinh(),
                       InvarianceOptions().curvature(ParameterScales()).time(0.1).steps({2, 4}));
  EXPECT_FALSE(report.holds);
  EXPECT_TRUE(identical(flat(model->parameters()).detach(), before));
  EXPECT_EQ(model->parameters()[0].data_ptr(), memory);
  EXPECT_TRUE(model->parameters()[0].is_leaf() && model->parameters()[0].requires_grad());
  EXPECT_TRUE(identical(model->parameters()[0].grad(), gradient));
  EXPECT_TRUE(
      torch::equal(torch::globalContext().defaultGenerator(torch::kCPU).get_state(), generator));
}

TEST_F(LogisticPaths, AreRefusedWithAReason) {
  const Elementwise cubes(
      "γ³", [](const Tensor& g) { return g.pow(3); },
      [](const Tensor& t) { return t.sign() * t.abs().pow(1. / 3); });
  const auto zero = torch::zeros({3}, torch::kDouble).requires_grad_();
  const auto at_zero = [&] { return torch::binary_cross_entropy_with_logits(x.mv(zero), y); };
  expect_error([&] { invariance_check({zero}, at_zero, cubes); },
               "the Jacobian of θ = γ³ is singular");
  const Elementwise not_inverse(
      "sinh", [](const Tensor& g) { return g.sinh(); }, [](const Tensor& t) { return t.sinh(); });
  expect_error([&] { check(Fisher(), not_inverse); }, "does not lead back");
  int calls = 0;
  expect_error(
      [&] {
        invariance_check(
            {w}, [&] { return loss() * ++calls; }, sinh);
      },
      "use the same data each time");
  expect_error(
      [&] {
        invariance_check(
            {w}, [&] { return loss() * 0; }, sinh);
      },
      "the gradient is zero");
  const auto frozen = w.detach().clone();
  expect_error(
      [&] {
        invariance_check({w, frozen}, loss, sinh);
      },
      "parameter 1 does not require a gradient");
  expect_error([&] { check(Fisher(), Affine(randn({4}, 1))); }, "of 4 parameters, but got 3");
  const auto with = [&](const InvarianceOptions& options) {
    return [&, options] { invariance_check({w}, loss, sinh, options); };
  };
  expect_error(with(InvarianceOptions().time(-1)), "time >= 0");
  expect_error(with(InvarianceOptions().steps({20, 10})), "fewest first");
  expect_error(with(InvarianceOptions().steps({20})), "two or more");
  expect_error(with(InvarianceOptions().cutoff(1)), "cutoff lies in (0, 1)");
}

}  // namespace
}  // namespace natgrad::testing::invariance_check_test
