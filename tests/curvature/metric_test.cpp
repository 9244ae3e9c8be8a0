#include <natgrad/curvature/metric.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>

#include <numbers>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::metric_test {
namespace {

namespace F = torch::nn::functional;

// A step by CG to a residual of 1e-14, on systems of condition up to 1e4.
constexpr double kSolve = 1e-9;
// A few multiplications in double.
constexpr double kRounding = 1e-14;

NaturalGradientOptions undamped(const Curvature& metric, double lr) {
  return NaturalGradientOptions(lr).damping(Tikhonov(0)).solver(tight_solver()).curvature(metric);
}

// ---- Scales: two layers, each in its own unit. ----

constexpr double kScale = 0.01, kRate = 0.2;

/// z = tanh(x W₁) W₂ under cross-entropy, W₁ written in `unit`: its numbers are W₁ / unit.
struct TwoLayers {
  explicit TwoLayers(double unit = 1)
      : unit(unit),
        first((randn({3, 4}, 801) / unit).requires_grad_(true)),
        second(randn({4, 5}, 802).requires_grad_(true)) {}

  Tensor loss() const {
    const auto z = randn({6, 3}, 803).mm(first * unit).tanh().mm(second);
    return F::cross_entropy(z, torch::tensor({0, 1, 2, 3, 4, 0}));
  }
  std::vector<Tensor> parameters() const { return {first, second}; }

  double unit;
  Tensor first, second;
};

TEST(ParameterScalesTest, AreTheDiagonalOfInverseSquares) {
  const TwoLayers model;
  const LossGraph graph(model.loss(), model.parameters());
  const auto metric = ParameterScales().scale({model.first}, kScale);
  const auto expected =
      torch::cat({torch::full({12}, 1e4, torch::kDouble), torch::ones({20}, torch::kDouble)});
  EXPECT_LT(relative_error(dense(metric.at(graph).matrix), torch::diag(expected)), kRounding);
  EXPECT_TRUE(identical(dense(ParameterScales().at(graph).matrix), torch::eye(32, torch::kDouble)));
  // Random signs see a diagonal exactly.
  EXPECT_LT(relative_error(metric.at(graph).noise(seeded(804)), expected.sum() / 6), kRounding);
}

TEST(ParameterScalesTest, TheStepIsTheGradientTimesTheSquaredScale) {
  const TwoLayers model, reference;
  NaturalGradient optimizer(
      model.parameters(),
      undamped(ParameterScales().scale({model.first}, kScale).scale({model.second}, 3), kRate));
  for (int k = 0; k < 3; ++k) {
    optimizer.step(model.loss());
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    const auto g = torch::autograd::grad({reference.loss()}, reference.parameters());
    torch::NoGradGuard no_grad;
    Tensor(reference.first).sub_(kRate * kScale * kScale * g[0]);
    Tensor(reference.second).sub_(kRate * 9 * g[1]);
    EXPECT_LT(relative_error(model.first, reference.first), kSolve);
    EXPECT_LT(relative_error(model.second, reference.second), kSolve);
  }
}

TEST(ParameterScalesTest, StepsAreTheSameInOtherUnits) {
  constexpr double kCentimetre = 0.01;
  const TwoLayers metres, centimetres(kCentimetre);
  NaturalGradient in_metres(metres.parameters(),
                            undamped(ParameterScales().scale({metres.first}, kScale), kRate));
  NaturalGradient in_centimetres(
      centimetres.parameters(),
      undamped(ParameterScales().scale({centimetres.first}, kScale / kCentimetre), kRate));
  const auto start = metres.first.detach().clone();
  for (int k = 0; k < 4; ++k) {
    in_metres.step(metres.loss());
    in_centimetres.step(centimetres.loss());
    EXPECT_LT(relative_error(centimetres.first * kCentimetre, metres.first), kSolve);
    EXPECT_LT(relative_error(centimetres.second, metres.second), kSolve);
  }
  EXPECT_GT(relative_error(metres.first, start), 1e4 * kSolve);
}

TEST(ParameterScalesTest, WithoutAScaleOtherUnitsAreAnotherStep) {
  const TwoLayers metres, centimetres(0.01);
  const auto start = metres.first.detach().clone();
  NaturalGradient(metres.parameters(), undamped(ParameterScales(), kRate)).step(metres.loss());
  NaturalGradient(centimetres.parameters(), undamped(ParameterScales(), kRate))
      .step(centimetres.loss());
  // 1/10000 of it, as the blog has it.
  EXPECT_LT(relative_error(centimetres.first * 0.01 - start, 1e-4 * (metres.first - start)),
            1e-7);  // the difference loses the digits of the step
}

TEST(ParameterScalesTest, ScalesThatMakeNoSenseThrow) {
  const TwoLayers model;
  for (const double s : {0., -1., std::nan(""), double(INFINITY)}) {
    expect_error([&] { ParameterScales().scale({model.first}, s); }, "scale");
  }
  expect_error([&] { ParameterScales().scale({Tensor()}, 1); }, "undefined");
  expect_error([&] { ParameterScales().scale({model.first, model.first}, 2); }, "already");
  auto metric = ParameterScales().scale({model.first}, 2);
  const auto before = metric.describe();
  expect_error([&] { metric.scale({model.second, model.first}, 3); }, "the scale 2 already");
  EXPECT_EQ(metric.describe(), before);
}

TEST(ParameterScalesTest, ForeignTensorsThrowAndFrozenOnesDoNot) {
  const TwoLayers model;
  const LossGraph graph(model.loss(), {model.second});
  const auto metric = ParameterScales().scale({model.first}, 2);
  expect_error([&] { metric.at(graph); }, "none of the optimizer's");
  Tensor(model.first).requires_grad_(false);
  EXPECT_TRUE(identical(dense(metric.at(graph).matrix), torch::eye(20, torch::kDouble)));
}

TEST(ParameterScalesTest, ScalesBeyondTheDtypeThrow) {
  const auto w = torch::ones({3}).requires_grad_(true);
  const LossGraph graph(natgrad::outputs(w).square().sum(), {w});
  for (const double s : {1e-25, 1e25}) {
    expect_error([&] { ParameterScales().scale({w}, s).at(graph); }, "range of Float");
  }
}

TEST(ParameterScalesTest, EqualTextMeansEqualScales) {
  const TwoLayers model;
  const auto metric = ParameterScales().scale({model.first}, 2);
  EXPECT_EQ(metric.clone()->describe(), metric.describe());
  EXPECT_NE(ParameterScales().scale({model.second}, 2).describe(), metric.describe());
  EXPECT_NE(ParameterScales().scale({model.first}, 2 + 1e-15).describe(), metric.describe());
}

// ---- Any metric. ----

/// ½ (θ - target)ᵀ A (θ - target) as a loss whose output is θ.
struct Bowl {
  Tensor theta = randn({4}, 811).requires_grad_(true);
  Tensor A = random_spd(4, 10, 812), target = randn({4}, 813);

  Tensor loss() const {
    const auto error = natgrad::outputs(theta) - target;
    return 0.5 * error.dot(A.mv(error));
  }
};

Tensor moving_metric(const Tensor& theta) {
  return torch::eye(4, torch::kDouble) + theta.outer(theta);
}

TEST(MetricTest, AFixedMetricTakesTheDenseStep) {
  const Bowl bowl;
  const auto G = random_spd(4, 100, 814);
  NaturalGradient optimizer({bowl.theta}, undamped(Metric(from_dense(G)), kRate));
  auto theta = bowl.theta.detach().clone();
  for (int k = 0; k < 3; ++k) {
    optimizer.step(bowl.loss());
    theta = theta - kRate * torch::linalg_solve(G, bowl.A.mv(theta - bowl.target));
    EXPECT_LT(relative_error(bowl.theta, theta), kSolve);
  }
}

TEST(MetricTest, AMetricOfTheParametersIsEvaluatedAtEachStep) {
  for (const bool of_loss : {false, true}) {
    const Bowl bowl;
    int calls = 0;
    const Metric by_parameters("moving", [&](const ParameterLayout& layout) {
      ++calls;
      return from_dense(moving_metric(layout.values()));
    });
    const Metric by_loss("moving", [&](const LossGraph& graph) {
      ++calls;
      return from_dense(moving_metric(graph.parameters().values()));
    });
    NaturalGradient optimizer({bowl.theta}, undamped(of_loss ? by_loss : by_parameters, kRate));
    auto theta = bowl.theta.detach().clone();
    for (int k = 0; k < 3; ++k) {
      optimizer.step(bowl.loss());
      EXPECT_EQ(calls, k + 1);
      theta =
          theta - kRate * torch::linalg_solve(moving_metric(theta), bowl.A.mv(theta - bowl.target));
      EXPECT_LT(relative_error(bowl.theta, theta), kSolve);
    }
  }
}

TEST(MetricTest, InPolarCoordinatesTheFirstOrderStepIsThatInThePlane) {
  // x = r cos φ, y = r sin φ: the plane's own metric is diag(1, r²), and a short step along the
  // natural gradient is the plane's plain gradient step, up to the square of its length.
  double previous = 0;
  for (const double rate : {1e-2, 5e-3, 2.5e-3}) {
    const auto polar = torch::tensor({1.7, 0.6}, torch::kDouble).requires_grad_(true);
    const auto place = [&] { return polar[0] * torch::stack({polar[1].cos(), polar[1].sin()}); };
    const auto target = torch::tensor({-0.4, 0.9}, torch::kDouble);
    const auto before = place().detach();
    const Metric plane("plane", [](const ParameterLayout& layout) {
      const auto r = layout.values()[0];
      return natgrad::diagonal_operator(torch::stack({torch::ones_like(r), r.square()}));
    });
    NaturalGradient optimizer({polar}, undamped(plane, rate));
    optimizer.step((natgrad::outputs(place()) - target).pow(4).sum());
    const auto gradient = 4 * (before - target).pow(3);
    const double error = relative_error(place() - before, -rate * gradient);
    EXPECT_LT(error, 10 * rate);
    if (previous > 0) {
      EXPECT_NEAR(previous / error, 2, 0.1);
    }
    previous = error;
  }
}

// ---- x = -G⁻¹g/‖g‖ in the norm of G⁻¹ minimises h(θ + εx) over xᵀGx = 1, as ε → 0. ----

Tensor own_objective(const Tensor& theta) {
  return (theta[0].exp() + (theta[0] * theta[1]).cos() + theta[1].pow(3));
}

/// On the ellipse x = L⁻ᵀ(cos φ, sin φ), L Lᵀ = G, by ever finer searches.
Tensor minimiser_on_the_ellipse(const Tensor& theta, const Tensor& G, double epsilon) {
  const auto to_ellipse = torch::linalg_inv(torch::linalg_cholesky(G)).t();
  double centre = 0, width = std::numbers::pi;
  constexpr int kPoints = 65;
  while (width > 1e-7) {
    const auto angles = centre + width * torch::linspace(-1, 1, kPoints, torch::kDouble);
    const auto x = to_ellipse.mm(torch::stack({angles.cos(), angles.sin()}));
    const auto h = own_objective(theta.unsqueeze(1) + epsilon * x);
    centre = angles[h.argmin().item<int64_t>()].item<double>();
    width /= 8;
  }
  return to_ellipse.mv(torch::tensor({std::cos(centre), std::sin(centre)}, torch::kDouble));
}

TEST(MetricTest, TheNormalisedStepIsTheConstrainedMinimiser) {
  const auto theta = torch::tensor({0.3, -0.8}, torch::kDouble).requires_grad_(true);
  const auto G = random_spd(2, 8, 821);
  const LossGraph graph(own_objective(natgrad::outputs(theta)), {theta});
  const auto minus_natural =
      -tight_solver().solve(Metric(from_dense(G)).at(graph).matrix, graph.gradient()).x;
  const auto x = minus_natural / (-graph.gradient().dot(minus_natural)).sqrt();
  EXPECT_NEAR(x.dot(G.mv(x)).item<double>(), 1, kSolve);
  double previous = 0;
  for (const double epsilon : {1e-2, 5e-3, 2.5e-3}) {
    const double error = relative_error(minimiser_on_the_ellipse(theta.detach(), G, epsilon), x);
    EXPECT_LT(error, 3 * epsilon);
    if (previous > 0) {
      EXPECT_NEAR(previous / error, 2, 0.1);
    }
    previous = error;
  }
}

// ---- What else a curvature says. ----

TEST(MetricTest, NoiseIsTheTraceOverN) {
  const TwoLayers model;
  const LossGraph graph(model.loss(), model.parameters());
  const auto d = randn({32}, 815).abs();
  EXPECT_LT(relative_error(Metric(natgrad::diagonal_operator(d)).at(graph).noise(seeded(816)),
                           d.sum() / 6),
            kRounding);
}

TEST(MetricTest, AsksForNoTermsAndTakesNoPenalties) {
  for (const auto& metric :
       {Metric(natgrad::diagonal_operator(torch::ones({2}))).clone(), ParameterScales().clone()}) {
    EXPECT_FALSE(metric->needs_terms());
    EXPECT_FALSE(metric->needs_penalties());
  }
}

TEST(MetricTest, CopiesAreEqualAndOthersAreNot) {
  const auto d = natgrad::diagonal_operator(torch::ones({2}));
  const Metric one(d), other(d);
  EXPECT_EQ(one.clone()->describe(), one.describe());
  EXPECT_NE(one.describe(), other.describe());
  EXPECT_NE(one.describe().find("diagonal"), std::string::npos);
}

TEST(MetricTest, AMetricOfAnotherSpaceThrows) {
  const Bowl bowl;
  const LossGraph graph(bowl.loss(), {bowl.theta});
  expect_error([&] { Metric(natgrad::diagonal_operator(randn({5}, 1))).at(graph); }, "size 5");
  expect_error([&] { Metric(natgrad::diagonal_operator(torch::ones({4}))).at(graph); }, "float");
  expect_error([&] { Metric("none", Metric::AtParameters()); }, "no function");
}

}  // namespace
}  // namespace natgrad::testing::metric_test
