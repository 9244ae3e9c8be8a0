// `derivative_health` on sound networks and losses, and on one for each way of being wrong.

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/diagnostics/derivative_health.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/huber.h>

#include "support/graph_readings.h"
#include "support/opaque_ops.h"
#include "theory/small_network.h"

namespace natgrad::testing::derivative_health_test {
namespace {

namespace F = torch::nn::functional;

/// Which checks fail.
std::vector<std::string> failing(const Health& health) {
  std::vector<std::string> names;
  for (const auto& check : health.checks) {
    if (!check.holds) names.push_back(check.name);
  }
  return names;
}

using Names = std::vector<std::string>;

// ---- Sound ones. ----

struct DerivativesOfANetwork : ::testing::TestWithParam<NetworkCase> {};

TEST_P(DerivativesOfANetwork, DerivativesAreHealthy) {
  const auto network = GetParam().make();
  const auto labels = torch::tensor({0, 2, 5, 2});
  const auto health = derivative_health(
      network.parameters, [&] { return F::cross_entropy(network.forward(), labels); });
  EXPECT_TRUE(health.holds) << health.message();
  EXPECT_TRUE(health.check("gradient").is_conclusive) << health.message();
}

/// LibTorch's second derivative of logcumsumexp is not finite (docs/design.md).
std::vector<NetworkCase> sound_networks() {
  std::vector<NetworkCase> sound;
  for (const auto& network : networks()) {
    if (network.name != "LogCumulativeSum") sound.push_back(network);
  }
  return sound;
}

INSTANTIATE_TEST_SUITE_P(Networks, DerivativesOfANetwork, ::testing::ValuesIn(sound_networks()),
                         ByName());

struct DerivativeHealth : ::testing::Test {
  const SmallNetwork network{801, 8, 3};
  const std::vector<Tensor>& parameters = network.parameters;

  Tensor loss(const std::function<Tensor(const Tensor&)>& on_units) const {
    const auto hidden = on_units(torch::linear(network.x, parameters[0], parameters[1]).tanh());
    return F::cross_entropy(torch::linear(hidden, parameters[2], parameters[3]), network.labels);
  }
  Tensor loss() const {
    return loss([](const Tensor& x) { return x; });
  }
  Health health_with(const std::function<Tensor(const Tensor&)>& on_units) const {
    return derivative_health(parameters, [&] { return loss(on_units); });
  }
};

TEST_F(DerivativeHealth, AllChecksAreConclusive) {
  const auto health = health_with([](const Tensor& x) { return x; });
  EXPECT_EQ(health.checks.size(), 1 + 1 + 4 + 3);
  for (const auto& check : health.checks) {
    EXPECT_TRUE(check.holds && check.is_conclusive) << health.message();
    EXPECT_LT(check.value, 1e-7) << check.name;  // ε⁴ and rounding over ε
  }
  EXPECT_EQ(health.check("loss").says, "the same bits");
}

TEST_F(DerivativeHealth, DropoutIsTheSameInAllCalls) {
  const auto health =
      health_with([](const Tensor& x) { return torch::dropout(x, 0.5, /*train=*/true); });
  EXPECT_TRUE(health.holds) << health.message();
}

TEST_F(DerivativeHealth, OwnLossesAndPenaltiesAreLookedAtToo) {
  const auto health = derivative_health(parameters, [&] {
    const auto z = outputs(network.forward());
    return (z - network.targets).pow(4).mean() + 0.1 * parameters[2].pow(4).sum();
  });
  EXPECT_TRUE(health.holds) << health.message();
  EXPECT_TRUE(health.check("Gauss-Newton").is_conclusive);
  EXPECT_FALSE(health.check("Jacobian").is_conclusive);  // no distribution
}

TEST_F(DerivativeHealth, ALossThatCannotBeReadHasItsGradientAndHessianLookedAt) {
  const auto health =
      derivative_health(parameters, [&] { return (1 - (-loss()).exp()).square() * loss(); });
  EXPECT_TRUE(health.holds) << health.message();
  EXPECT_FALSE(health.check("Gauss-Newton").is_conclusive);
  EXPECT_TRUE(says(health.check("Gauss-Newton").says, "cannot be read"));
  EXPECT_TRUE(health.check("Hessian").is_conclusive);
}

TEST_F(DerivativeHealth, InFloatToleranceAndStepFollowThePrecision) {
  std::vector<Tensor> narrow;
  for (const auto& p : parameters) narrow.push_back(p.detach().to(torch::kFloat).requires_grad_());
  const auto x = network.x.to(torch::kFloat);
  const auto in_float = [&](double factor) {
    return derivative_health(
        narrow, [&] { return F::cross_entropy(SmallNetwork::forward(narrow, x), network.labels); },
        DerivativeHealthOptions().gauss_newton(
            [=](const LossGraph& graph) { return factor * gauss_newton(graph); }));
  };
  const auto sound = in_float(1), scaled = in_float(1.1);
  EXPECT_TRUE(sound.holds) << sound.message();
  for (const auto* name : {"gradient", "Jacobian", "Gauss-Newton", "Hessian"}) {
    EXPECT_TRUE(sound.check(name).is_conclusive) << sound.message();
  }
  EXPECT_EQ(failing(scaled), Names({"Gauss-Newton"})) << scaled.message();
}

// ---- Wrong first derivatives. ----

/// y = x with a backward of another factor.
template <int kPercent>
struct WrongSlope : torch::autograd::Function<WrongSlope<kPercent>> {
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return x.clone(); }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext*,
                                               torch::autograd::tensor_list gradients) {
    return {gradients[0] * (kPercent / 100.)};
  }
};

/// A sound one.
using SoundOp = WrongSlope<100>;

TEST_F(DerivativeHealth, AScaledBackwardIsFoundAndNamed) {
  const auto health = health_with([](const Tensor& x) { return WrongSlope<110>::apply(x); });
  EXPECT_FALSE(health.holds);
  EXPECT_FALSE(health.check("gradient").holds);
  // The parameters below the op are wrong, those above are right.
  EXPECT_FALSE(health.check("gradient of parameter 0").holds);
  EXPECT_NEAR(health.check("gradient of parameter 0").value, 0.1 / 1.1, 1e-6);
  EXPECT_FALSE(health.check("gradient of parameter 1").holds);
  EXPECT_TRUE(health.check("gradient of parameter 2").holds);
  EXPECT_TRUE(health.check("gradient of parameter 3").holds);
  EXPECT_TRUE(says(health.check("gradient").op, "WrongSlope<110>")) << health.message();
  EXPECT_FALSE(health.check("Jacobian").holds);
  EXPECT_FALSE(health.check("Gauss-Newton").holds);
  EXPECT_FALSE(health.check("Hessian").holds);
}

TEST_F(DerivativeHealth, ABackwardOfTheWrongSignIsFound) {
  const auto health = health_with([](const Tensor& x) { return WrongSlope<-100>::apply(x); });
  EXPECT_NEAR(health.check("gradient of parameter 0").value, 2, 1e-6);
  EXPECT_TRUE(says(health.message(), "WrongSlope<-100>")) << health.message();
}

TEST_F(DerivativeHealth, OfTwoOpsTheOneThatExplainsTheWrongParametersIsNamed) {
  const auto health = derivative_health(parameters, [&] {
    const auto weights = WrongSlope<90>::apply(parameters[0]);
    const auto hidden = torch::linear(network.x, weights, parameters[1]).tanh();
    const auto z = torch::linear(SoundOp::apply(hidden), parameters[2], parameters[3]);
    return F::cross_entropy(z, network.labels);
  });
  EXPECT_FALSE(health.check("gradient of parameter 0").holds);
  EXPECT_TRUE(health.check("gradient of parameter 1").holds);
  EXPECT_TRUE(says(health.check("gradient").op, "WrongSlope<90>"));
  EXPECT_FALSE(says(health.check("gradient").op, "WrongSlope<100>"));
}

TEST_F(DerivativeHealth, AParameterThatWasDetachedIsFound) {
  const auto health = derivative_health(parameters, [&] {
    const auto hidden = torch::linear(network.x, parameters[0].detach(), parameters[1]).tanh();
    return F::mse_loss(torch::linear(hidden, parameters[2], parameters[3]), network.targets);
  });
  const auto& check = health.check("gradient of parameter 0");
  EXPECT_FALSE(check.holds);
  EXPECT_NEAR(check.value, 1, 1e-6);
  EXPECT_TRUE(says(check.says, "no op of the graph leads to it")) << check.says;
  EXPECT_TRUE(says(check.says, "[3, 2]")) << check.says;
  EXPECT_TRUE(health.check("gradient of parameter 1").holds);
}

// ---- Wrong second derivatives. ----

/// x² whose backward saves x without its graph: right as long as nobody differentiates by x.
struct ForgetfulSquare : torch::autograd::Function<ForgetfulSquare> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x) {
    context->saved_data["x"] = x.detach();
    return x * x;
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list gradients) {
    return {2 * context->saved_data["x"].toTensor() * gradients[0]};
  }
};

TEST_F(DerivativeHealth, ASecondDerivativeThatIsForgottenIsFoundInTheHessianAlone) {
  const auto health = health_with([](const Tensor& x) { return ForgetfulSquare::apply(x); });
  EXPECT_EQ(failing(health), Names({"Hessian"})) << health.message();
  EXPECT_TRUE(says(health.check("Hessian").op, "ForgetfulSquare")) << health.message();
}

struct DerivativesAtADetachingOp : ::testing::TestWithParam<OpaqueOp> {};

TEST_P(DerivativesAtADetachingOp, TheGradientIsRightAndTheProductsAreNot) {
  const SmallNetwork network{802, 6, 3};
  const auto health = derivative_health(network.parameters, [&] {
    return F::cross_entropy(GetParam().apply(network.forward()), network.labels);
  });
  EXPECT_EQ(failing(health), Names({"Jacobian", "Gauss-Newton", "Hessian"})) << health.message();
  for (const auto& name : failing(health)) {
    EXPECT_TRUE(says(health.check(name).op, GetParam().name)) << health.message();
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, DerivativesAtADetachingOp, ::testing::ValuesIn(opaque_ops()),
                         [](const auto& info) { return info.param.name; });

// ---- Curvatures that are wrong on purpose. ----

struct WrongMatrix : DerivativeHealth {
  using Change = std::function<LinearOperator(const LossGraph&, const LinearOperator&)>;

  /// With the same change made to both matrices.
  Names found(const Change& change) const {
    return failing(derivative_health(
        parameters,
        [&] {
          const auto z = network.forward();
          return F::cross_entropy(z, network.labels) +
                 F::mse_loss(z.select(1, 0), network.x.select(1, 0));
        },
        DerivativeHealthOptions()
            .gauss_newton([=](const LossGraph& g) { return change(g, gauss_newton(g)); })
            .hessian([=](const LossGraph& g) { return change(g, natgrad::hessian(g)); })));
  }
  const Names both = {"Gauss-Newton", "Hessian"};
};

TEST_F(WrongMatrix, IsFoundWhereItIsWrongAlone) {
  EXPECT_EQ(found([](auto&, const auto& A) { return A; }), Names());
}

TEST_F(WrongMatrix, Scaled) {
  EXPECT_EQ(found([](auto&, const auto& A) { return 1.001 * A; }), both);
}

TEST_F(WrongMatrix, OfTheWrongSign) {
  EXPECT_EQ(found([](auto&, const auto& A) { return -1.0 * A; }), both);
}

TEST_F(WrongMatrix, WithoutATerm) {
  const auto z = network.forward();
  const LossGraph one(F::cross_entropy(z, network.labels), parameters);
  const auto M = from_dense(dense(gauss_newton(one)));
  EXPECT_EQ(found([=](auto&, const auto&) { return M; }), both);
}

TEST_F(WrongMatrix, NotSymmetric) {
  const auto skew = randn({network.theta().numel(), network.theta().numel()}, 811);
  const auto part = from_dense(1e-3 * (skew - skew.t()));
  EXPECT_EQ(found([=](auto&, const auto& A) { return A + part; }), both);
}

TEST_F(WrongMatrix, Random) {
  const auto M = from_dense(random_spd(network.theta().numel(), 10, 812));
  EXPECT_EQ(found([=](auto&, const auto&) { return M; }), both);
}

TEST_F(WrongMatrix, TheGaussNewtonMatrixIsNotTheHessian) {
  EXPECT_EQ(found([](auto& g, const auto&) { return natgrad::hessian(g); }),
            Names({"Gauss-Newton"}));
}

// ---- The closure, and what it leaves behind. ----

TEST_F(DerivativeHealth, AClosureThatDrawsOtherDataIsToldAndNothingElseJudged) {
  int64_t call = 0;
  const auto health =
      derivative_health(parameters, [&] { return loss() * static_cast<double>(++call); });
  EXPECT_EQ(health.checks.size(), 1);
  EXPECT_FALSE(health.check("loss").holds);
  EXPECT_TRUE(says(health.message(), "draws other data")) << health.message();
}

TEST_F(DerivativeHealth, AKinkIsNoFault) {
  // |w - 1| for w at the kink, and next to it: the differences of either side disagree.
  for (const double offset : {0., 1e-6, 1e-5}) {
    const auto w = torch::full({1}, 1 + offset, torch::kDouble).requires_grad_();
    const auto health = derivative_health({w}, [&] { return 2 * (w - 1).relu().sum() + w.sum(); });
    EXPECT_TRUE(health.holds) << health.message();
    EXPECT_FALSE(health.check("gradient").is_conclusive) << health.message();
  }
}

TEST_F(DerivativeHealth, ParametersGradientsGraphsAndGeneratorsAreAsBefore) {
  const auto before = network.theta();
  const auto graph = loss();
  graph.backward({}, /*retain_graph=*/true);
  const auto gradient = flat({parameters[0].grad(), parameters[2].grad()}).clone();
  const auto* memory = parameters[0].data_ptr();
  EXPECT_TRUE(health_with([](const Tensor& x) { return torch::dropout(x, 0.5, true); }).holds);
  EXPECT_TRUE(identical(network.theta(), before));
  EXPECT_EQ(parameters[0].data_ptr(), memory);
  EXPECT_TRUE(identical(flat({parameters[0].grad(), parameters[2].grad()}), gradient));
  EXPECT_TRUE(identical(gradient_of(graph, {parameters[0], parameters[2]}), gradient));
}

TEST_F(DerivativeHealth, AfterAnErrorAtAnotherPointTheParametersAreBack) {
  const auto before = network.theta();
  int64_t call = 0;
  const auto health = derivative_health(parameters, [&] {
    TORCH_CHECK(++call != 4, "natgrad: enough");
    return loss();
  });
  EXPECT_TRUE(identical(network.theta(), before));
  EXPECT_EQ(failing(health), Names({"gradient"}));
  EXPECT_EQ(health.check("gradient").says, "enough");
}

TEST_F(DerivativeHealth, RefusesOptionsOutOfRange) {
  expect_error([&] { derivative_health(parameters, nullptr); }, "needs a closure");
  expect_error(
      [&] {
        derivative_health(
            parameters, [&] { return loss(); }, DerivativeHealthOptions().step(-1));
      },
      "a step and a tolerance >= 0");
}

}  // namespace
}  // namespace natgrad::testing::derivative_health_test
