// One row an example along its own gradient, against single examples one at a time.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gradient_rows.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/warnings.h"

namespace natgrad::testing::gradient_rows_test {
namespace {

namespace F = torch::nn::functional;

// Sums of a few hundred products in double, through second derivatives.
constexpr double kRounding = 1e-11;

LossGraph substituted(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return LossGraph(loss, parameters, RandomStreams(), Terms::Required, Unread::Substitute);
}

Tensor signs() { return torch::where(randn({kExamples, kOutputs}, 1601) > 0, 1.0, -1.0); }

/// A loss that is the mean over the examples of `of_one`, ℓᵢ of the outputs and number of one.
struct ExampleLoss {
  std::string name;
  bool is_not_negative;  ///< as its ops show
  std::function<Tensor(const Tensor& z, int64_t i)> of_one;
};

std::ostream& operator<<(std::ostream& out, const ExampleLoss& loss) { return out << loss.name; }

std::vector<ExampleLoss> example_losses() {
  const auto hinge = [](const Tensor& z, int64_t i) { return (1 - signs()[i] * z).relu().mean(); };
  return {
      {"Hinge", true, hinge},
      {"SquaredHinge", true,
       [](auto& z, auto i) { return (1 - signs()[i] * z).relu().square().mean(); }},
      {"Pinball", false,
       [](auto& z, auto i) {
         const auto e = signs()[i] - z;
         return torch::maximum(0.9 * e, -0.1 * e).mean();
       }},
      {"LogCosh", false, [](auto& z, auto i) { return (z - signs()[i]).cosh().log().mean(); }},
      {"SquaresOfCubes", true, [](auto& z, auto i) { return (z.pow(3) - i).square().mean(); }},
      {"NotConvex", true, [](auto& z, auto i) { return (z - signs()[i]).square().log1p().mean(); }},
      {"Linear", false, [](auto& z, auto i) { return (z * signs()[i]).mean(); }},
      {"HingeLessANumber", false, [=](auto& z, auto i) { return hinge(z, i) - 5; }},
      {"ManyWithoutGradient", true, [](auto& z, auto i) { return (z - 2 * i).relu().mean(); }},
  };
}

/// h, with the examples in one sum.
Tensor mean_of(const ExampleLoss& loss, const Tensor& z) {
  std::vector<Tensor> each;
  for (int64_t i = 0; i < kExamples; ++i) each.push_back(loss.of_one(z[i], i));
  return torch::stack(each).mean();
}

/// κᵢ and gᵢ of an example whose share in h is `share`.
struct Row {
  double kappa;
  Tensor g;
};

Row row_of(const Tensor& share, const Tensor& z, double w) {
  const auto g = gradient_of(share, {z});
  const double square = g.dot(g).template item<double>();
  if (square == 0) return {0, g};
  const double along = g.dot(hessian(share, {z}).mv(g)).template item<double>() / square;
  return {std::max(along, square * w), g};
}

struct GradientRowsOfLosses : ::testing::TestWithParam<ExampleLoss> {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor loss = mean_of(GetParam(), natgrad::outputs(z));
  LossGraph graph{loss, network.parameters};
  CurvatureAt at = GradientRows().at(graph);
  double w = kExamples / (GetParam().is_not_negative ? 2 * loss.item<double>() : 1);

  /// R and t, example by example.
  std::pair<Tensor, Tensor> rows() const {
    const auto J = jacobian(z, network.parameters);
    std::vector<Tensor> rows, targets;
    for (int64_t i = 0; i < kExamples; ++i) {
      const auto one = z[i].detach().clone().requires_grad_();
      const auto [kappa, g] = row_of(GetParam().of_one(one, i) / kExamples, one, w);
      const auto length = g.norm();
      const bool is_zero = length.template item<double>() == 0;
      const auto Ji = J.narrow(0, i * kOutputs, kOutputs);
      rows.push_back(is_zero ? torch::zeros({J.size(1)}, torch::kDouble)
                             : std::sqrt(kappa) * Ji.t().mv(g) / length);
      targets.push_back(is_zero ? length : -length / std::sqrt(kappa));
    }
    return {torch::stack(rows), torch::stack(targets)};
  }
};

TEST_P(GradientRowsOfLosses, AreTheDenseRows) {
  const auto [R, t] = rows();
  EXPECT_LT(relative_error(dense(at.matrix), R.t().mm(R)), kRounding);
  EXPECT_LT(relative_error(at.targets, t), kRounding);
  const auto& root = *at.matrix.root_form()->root;
  EXPECT_LT(
      relative_error(matrix_of([&](const Tensor& v) { return root.multiply(v); }, R.size(1)), R),
      kRounding);
}

TEST_P(GradientRowsOfLosses, TellTheGradient) {
  const auto& root = *at.matrix.root_form()->root;
  EXPECT_LT(
      relative_error(-root.multiply_transposed(at.targets), gradient_of(loss, network.parameters)),
      kRounding);
}

TEST_P(GradientRowsOfLosses, NoiseIsTheMeanSquareOfTheRows) {
  const auto [R, t] = rows();
  EXPECT_LT(relative_error(at.noise(seeded(1)), R.square().sum() / kExamples), kRounding);
}

TEST_P(GradientRowsOfLosses, OfAMultipleAreThatMultiple) {
  constexpr double kFactor = 49;
  const LossGraph scaled(kFactor * mean_of(GetParam(), natgrad::outputs(z)), network.parameters);
  const auto other = GradientRows().at(scaled);
  if (GetParam().is_not_negative) {
    EXPECT_LT(relative_error(dense(other.matrix), kFactor * dense(at.matrix)), kRounding);
    EXPECT_LT(relative_error(other.targets, std::sqrt(kFactor) * at.targets), kRounding);
  }
  EXPECT_LT(relative_error(-other.matrix.root_form()->root->multiply_transposed(other.targets),
                           kFactor * gradient_of(loss, network.parameters)),
            kRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, GradientRowsOfLosses, ::testing::ValuesIn(example_losses()),
                         [](const auto& info) { return info.param.name; });

// Below: every network, under losses whose outputs natgrad finds or is told.

struct GradientRowsOfNetworks : ::testing::TestWithParam<NetworkCase> {
  Network network = GetParam().make();
  Tensor z = network.forward();
  Tensor loss = (1.5 - signs() * natgrad::outputs(z)).relu().pow(1.5).mean();
  LossGraph graph{loss, network.parameters};
  CurvatureAt at = GradientRows().at(graph);
};

TEST_P(GradientRowsOfNetworks, TellTheGradient) {
  ASSERT_TRUE(at.targets.defined());
  EXPECT_LT(relative_error(-at.matrix.root_form()->root->multiply_transposed(at.targets),
                           gradient_of(loss, network.parameters)),
            kRounding);
}

TEST_P(GradientRowsOfNetworks, AreTheRootOfTheMatrix) {
  const auto& root = *at.matrix.root_form()->root;
  const auto R =
      matrix_of([&](const Tensor& v) { return root.multiply(v); }, graph.parameters().size());
  EXPECT_LT(relative_error(dense(at.matrix), R.t().mm(R)), kRounding);
  EXPECT_LT(relative_error(root.gram(), R.mm(R.t())), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Networks, GradientRowsOfNetworks, ::testing::ValuesIn(networks()),
                         [](const auto& info) { return info.param.name; });

struct GradientRowsTest : ::testing::Test {
  Network network = tanh_network();
  Tensor z = network.forward();
  const std::vector<Tensor>& p = network.parameters;

  static Tensor hinge(const Tensor& z) { return (1 - signs() * z).relu().mean(); }
};

// No second derivatives: κ is that of a square.
TEST_F(GradientRowsTest, AnOpThatHasNoSecondDerivativeLeavesTheSquare) {
  const auto loss = F::ctc_loss(z.log_softmax(1).unsqueeze(1), torch::tensor({{1, 2}}),
                                torch::tensor({kExamples}), torch::tensor({2}));
  const auto graph = substituted(loss, p);
  const auto at = GradientRows().at(graph);
  const auto g = gradient_of(loss, {z}).view({kExamples, kOutputs});
  const auto J = jacobian(z, p).view({kExamples, kOutputs, -1});
  const auto of_examples = torch::einsum("nk,nkp->np", {g, J});
  const double w = kExamples / (2 * loss.item<double>());
  EXPECT_LT(relative_error(dense(at.matrix), w * of_examples.t().mm(of_examples)), kRounding);
  EXPECT_LT(relative_error(-at.matrix.root_form()->root->multiply_transposed(at.targets),
                           gradient_of(loss, p)),
            kRounding);
}

// A row is what one example's rows of the layers add to ∇h.
TEST_F(GradientRowsTest, OfABatchThatIsNormalisedAreSharesOfTheGradient) {
  const auto x = randn({kExamples, 3}, 1602);
  const auto w1 = parameter({5, 3}, 1603), w2 = parameter({kOutputs, 5}, 1604);
  const auto a = torch::linear(x, w1);
  const auto b = torch::batch_norm(a, {}, {}, {}, {}, /*training=*/true, 0.1, 1e-5, false);
  const auto h = b.tanh(), outputs = torch::linear(h, w2);
  const auto of_one = [](const Tensor& z, int64_t i) {
    return (z - signs()[i]).square().mean() / kExamples;  // κ differs from example to example
  };
  const auto loss = (natgrad::outputs(outputs) - signs()).square().mean();
  const auto at = GradientRows().at(LossGraph(loss, {w1, w2}));
  const auto delta = torch::autograd::grad({loss}, {a, outputs}, {}, true);
  const double w = kExamples / (2 * loss.item<double>());
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kExamples; ++i) {
    const auto one = outputs[i].detach().clone().requires_grad_();
    const auto [kappa, g] = row_of(of_one(one, i), one, w);
    const auto share = flat({delta[0][i].outer(x[i]), delta[1][i].outer(h.detach()[i])});
    rows.push_back(std::sqrt(kappa) / g.norm() * share);
  }
  const auto R = torch::stack(rows);
  EXPECT_LT(relative_error(dense(at.matrix), R.t().mm(R)), kRounding);
  EXPECT_LT(relative_error(-at.matrix.root_form()->root->multiply_transposed(at.targets),
                           gradient_of(loss, {w1, w2})),
            kRounding);
}

// Interior and boundary points: no rows, but products.
TEST_F(GradientRowsTest, OfUnequalNumbersOfExamplesAreGivenByProducts) {
  const auto w1 = p[0], w2 = p[2];
  const auto net = [&](int64_t n, uint64_t seed) {
    return torch::linear(torch::linear(randn({n, 3}, seed), w1).tanh(), w2);
  };
  const auto a = net(3, 1605), b = net(7, 1606);
  const auto of_one = [](const Tensor& z) { return z.square().sum().log1p(); };
  const auto mean = [&](const Tensor& z) {
    std::vector<Tensor> each;
    for (int64_t i = 0; i < z.size(0); ++i) each.push_back(of_one(z[i]));
    return torch::stack(each).mean();
  };
  const auto loss = mean(natgrad::outputs(a)) + mean(natgrad::outputs(b));
  const LossGraph graph(loss, {w1, w2});
  const auto at = GradientRows().at(graph);
  const double w = (3 + 7) / (2 * loss.item<double>());
  auto expected =
      torch::zeros({graph.parameters().size(), graph.parameters().size()}, torch::kDouble);
  for (const auto& z : {a, b}) {
    const auto J = jacobian(z, {w1, w2}).view({z.size(0), kOutputs, -1});
    for (int64_t i = 0; i < z.size(0); ++i) {
      const auto one = z[i].detach().clone().requires_grad_();
      const auto [kappa, g] = row_of(of_one(one) / double(z.size(0)), one, w);
      const auto v = J[i].t().mv(g / g.norm());
      expected += kappa * v.outer(v);
    }
  }
  EXPECT_LT(relative_error(dense(at.matrix), expected), kRounding);
  EXPECT_FALSE(at.targets.defined());
}

// Outputs of one number of examples share their rows.
TEST_F(GradientRowsTest, OfTwoHeadsAreOneRowAnExample) {
  const auto left = z.narrow(1, 0, 2), right = z.narrow(1, 2, 4);
  const auto loss_of = [](const Tensor& a, const Tensor& b) {
    return (a.square().sum(1) * b.exp().sum(1)).mean();
  };
  const auto loss = loss_of(natgrad::outputs(left), natgrad::outputs(right));
  const auto apart = GradientRows().at(LossGraph(loss, p));
  const auto marked = natgrad::outputs(z);
  const auto joined = loss_of(marked.narrow(1, 0, 2), marked.narrow(1, 2, 4));
  const auto together = GradientRows().at(LossGraph(joined, p));
  EXPECT_LT(relative_error(dense(apart.matrix), dense(together.matrix)), kRounding);
  EXPECT_LT(relative_error(apart.targets, together.targets), kRounding);
}

TEST_F(GradientRowsTest, OfNoGradientAtAllAreZero) {
  const auto loss = (natgrad::outputs(z) - 1e3).relu().mean();
  const auto at = GradientRows().at(LossGraph(loss, p));
  EXPECT_EQ(dense(at.matrix).abs().max().item<double>(), 0);
  EXPECT_EQ(at.targets.abs().max().item<double>(), 0);
  EXPECT_EQ(at.noise(seeded(1)).item<double>(), 0);
}

TEST_F(GradientRowsTest, ConvexityIsToldAlongEachExamplesGradient) {
  const auto is_convex = [&](const std::function<Tensor(const Tensor& z)>& loss) {
    return is_convex_along_gradient(LossGraph(loss(natgrad::outputs(z)), p));
  };
  EXPECT_TRUE(is_convex([](const Tensor& z) { return z.cosh().log().mean(); }));
  EXPECT_TRUE(is_convex([](const Tensor& z) { return z.pow(4).mean(); }));
  EXPECT_FALSE(is_convex([](const Tensor& z) { return -z.square().mean(); }));
  EXPECT_FALSE(is_convex(hinge));
  // One example of four.
  const auto sign = torch::tensor({{1.}, {1.}, {-1.}, {1.}}, torch::kDouble);
  EXPECT_FALSE(is_convex([&](const Tensor& z) { return (sign * z.square()).mean(); }));
  const auto some = torch::tensor({{1.}, {0.}, {1.}, {0.}}, torch::kDouble);
  EXPECT_TRUE(is_convex([&](const Tensor& z) { return (some * z.square()).mean(); }));
}

TEST_F(GradientRowsTest, StandInForGaussNewtonWhereTheLossIsNotConvex) {
  const auto chosen = [&](const Tensor& loss) {
    return FisherOrGaussNewton().at(LossGraph(loss, p)).choice;
  };
  EXPECT_EQ(chosen(hinge(natgrad::outputs(z))), "gradient rows");
  EXPECT_NE(chosen(natgrad::outputs(z).cosh().log().mean()), "gradient rows");
}

// ---- In the optimizer. ----

TEST_F(GradientRowsTest, TheDefaultTakesThemAndWarnsOnce) {
  const Warnings warnings;
  NaturalGradient optimizer(p);
  for (int t = 0; t < 3; ++t) {
    optimizer.step(hinge(network.forward()));
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    EXPECT_NE(optimizer.summary().curvature.find("gradient rows"), std::string::npos);
    bool is_said = false;
    for (const auto& text : optimizer.summary().degradations) {
      is_said = is_said || text.find("outputs found in its graph") != std::string::npos;
    }
    EXPECT_TRUE(is_said);
  }
  EXPECT_EQ(warnings.count("outputs found in its graph"), 1);
}

TEST_F(GradientRowsTest, ALossThatIsReadIsNotWarnedAbout) {
  const Warnings warnings;
  NaturalGradient optimizer(p);
  optimizer.step(F::mse_loss(network.forward(), signs()));
  EXPECT_EQ(warnings.count("outputs found in its graph"), 0);
}

// Numbers that differ by a factor alone, through the solves of some steps.
constexpr double kSameSteps = 1e-8;

TEST_F(GradientRowsTest, AFactorOnTheLossChangesNoStepOfTheDefault) {
  const auto after = [](double factor) {
    const auto network = tanh_network();
    NaturalGradient optimizer(network.parameters);
    for (int t = 0; t < 5; ++t) optimizer.step(factor * hinge(network.forward()));
    return flat(network.parameters).detach();
  };
  const auto one = after(1);
  EXPECT_GT(relative_error(one, flat(tanh_network().parameters)), 1e-3);
  for (const double factor : {1e-4, 100.}) {
    EXPECT_LT(relative_error(after(factor), one), kSameSteps) << factor;
  }
}

TEST_F(GradientRowsTest, TheDefaultTrainsAHinge) {
  NaturalGradient optimizer(p);
  const double start = hinge(network.forward()).item<double>();
  for (int t = 0; t < 100; ++t) optimizer.step(hinge(network.forward()));
  EXPECT_LT(hinge(network.forward()).item<double>(), 0.1 * start);
}

}  // namespace
}  // namespace natgrad::testing::gradient_rows_test
