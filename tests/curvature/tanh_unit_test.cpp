#include <natgrad/curvature/tanh_unit.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>

#include <numbers>

#include "support/networks.h"
#include "support/quadrature.h"
#include "support/training.h"

namespace natgrad::testing::tanh_unit_test {
namespace {

// Theory's bar for the closed form is 1.7e-13, seen against three-dimensional quadrature.
constexpr double kQuadrature = 1e-12;
constexpr double kNoise = 0.3;

Tensor weights(double length, int64_t n = 3) {
  const auto w = randn({n}, 701);
  return w / w.norm() * length;
}

// ---- Against the definition: F = E[∇f ∇fᵀ]/σ², over all of the inputs' space. ----

/// Nodes [K³, 3] and their weights for x ~ N(0, I).
std::pair<Tensor, Tensor> gaussian_grid() {
  constexpr int64_t kNodes = 40;  // poles of sech at π/(2‖w‖): e^{-√(2 kNodes) π/(√2 ‖w‖)}
  const auto rule = gauss_hermite(kNodes);
  const auto x = std::numbers::sqrt2 * torch::tensor(rule.nodes, torch::kDouble);
  const auto p = torch::tensor(rule.weights, torch::kDouble) / std::sqrt(std::numbers::pi);
  return {torch::cartesian_prod({x, x, x}), torch::cartesian_prod({p, p, p}).prod(1)};
}

/// E[φ'(t)² x xᵀ]/σ² with t = x·w + b, for φ = tanh(gain t); x with a last element 1 for a bias.
Tensor fisher_by_quadrature(const Tensor& w, std::optional<double> bias, double gain = 1) {
  const auto [x, p] = gaussian_grid();
  const auto t = x.mv(w) + bias.value_or(0);
  const auto slope = gain * (1 - (gain * t).tanh().square());
  const auto inputs = bias ? torch::cat({x, torch::ones({x.size(0), 1}, x.options())}, 1) : x;
  return (inputs.t() * (p * slope.square())).mm(inputs) / (kNoise * kNoise);
}

TEST(TanhUnitTest, FisherIsTheThreeDimensionalIntegral) {
  for (const double length : {0.0, 0.05, 0.5}) {
    const auto w = weights(length);
    EXPECT_LT(
        relative_error(dense(TanhUnit(w, kNoise).fisher()), fisher_by_quadrature(w, std::nullopt)),
        kQuadrature);
    for (const double b : {0.0, 0.4, -1.5}) {
      EXPECT_LT(relative_error(dense(TanhUnit(w, kNoise, b).fisher()), fisher_by_quadrature(w, b)),
                kQuadrature);
    }
  }
}

TEST(TanhUnitTest, ThePapersUnitOfHalfTheSlopeIsAQuarterAtHalfTheWeights) {
  const auto w = weights(0.8);
  EXPECT_LT(relative_error(dense(0.25 * TanhUnit(w / 2, kNoise).fisher()),
                           fisher_by_quadrature(w, std::nullopt, 0.5)),
            kQuadrature);
}

// ---- The moments, by Gauss-Legendre on short panels. ----

struct PanelMoments {
  double mass, mean, variance;
};

PanelMoments moments_by_panels(double a, double b) {
  constexpr double kEnd = 20;
  const double width = std::min(0.5, 0.5 / a);
  const auto rule = gauss_legendre(16);
  const auto panels = static_cast<int64_t>(std::ceil(2 * kEnd / width));
  const auto centres = -kEnd + width * (torch::arange(panels, torch::kDouble) + 0.5);
  const auto e = centres.unsqueeze(1) + 0.5 * width * torch::tensor(rule.nodes, torch::kDouble);
  const auto p = 0.5 * width * torch::tensor(rule.weights, torch::kDouble) *
                 (a * e + b).cosh().pow(-4) * (-e.square() / 2).exp() /
                 std::sqrt(2 * std::numbers::pi);
  const double mass = p.sum().item<double>(), mean = p.mul(e).sum().item<double>() / mass;
  return {mass, mean, p.mul((e - mean).square()).sum().item<double>() / mass};
}

TEST(TanhUnitTest, MomentsAreAccurateFromNarrowToWide) {
  for (const double a : {1e-3, 0.3, 2., 20., 50.}) {
    for (const double b : {0., 0.3, -2., 6., 40.}) {
      const auto moments = TanhUnit(weights(a), kNoise, b).moments();
      const auto expected = moments_by_panels(a, b);
      EXPECT_NEAR(moments.mass, expected.mass, kQuadrature * expected.mass) << a << ", " << b;
      EXPECT_NEAR(moments.variance, expected.variance, kQuadrature * expected.variance)
          << a << ", " << b;
      const double spread = std::abs(expected.mean) + std::sqrt(expected.variance);
      EXPECT_NEAR(moments.mean, expected.mean, kQuadrature * spread) << a << ", " << b;
    }
  }
}

TEST(TanhUnitTest, TinyWeightsLeaveTheIdentity) {
  EXPECT_LT(relative_error(dense(TanhUnit(weights(0), kNoise).fisher()),
                           torch::eye(3, torch::kDouble) / (kNoise * kNoise)),
            kQuadrature);
  // 1 - tanh² = 1 - t² + ..., so that c₁ = 1 - 2‖w‖² and c₂ = 1 - 6‖w‖² up to ‖w‖⁴.
  constexpr double kLength = 1e-3, kNext = 1e-10;
  const auto moments = TanhUnit(weights(kLength), kNoise).moments();
  EXPECT_NEAR(moments.mass, 1 - 2 * kLength * kLength, kNext);
  EXPECT_NEAR(moments.mass * moments.variance, 1 - 6 * kLength * kLength, kNext);
}

TEST(TanhUnitTest, LargeWeightsHaveTheStatedAsymptotics) {
  // Of the relative errors at ‖w‖ = 20; both are of order ‖w‖⁻².
  constexpr double kMassError = 4.1e-4, kVarianceError = 1.5e-3;
  const double root = std::sqrt(2 * std::numbers::pi);
  for (const double factor : {1., 2., 2.5, 50.}) {
    const double a = 20 * factor;
    const auto m = TanhUnit(weights(a), kNoise).moments();
    const double c1 = 4. / 3 / (root * a);
    const double c2 = (std::pow(std::numbers::pi, 2) / 9 - 2. / 3) / (root * std::pow(a, 3));
    EXPECT_NEAR(m.mass / c1, 1, kMassError / (factor * factor));
    EXPECT_NEAR(m.mass * m.variance / c2, 1, kVarianceError / (factor * factor));
  }
}

// ---- The inverse. ----

TEST(TanhUnitTest, InverseTimesFisherIsTheIdentity) {
  for (const double length : {0., 1e-8, 0.7, 5., 50.}) {
    for (const std::optional<double> b : {std::optional<double>(), {0.}, {0.8}, {-3.}}) {
      const TanhUnit unit(weights(length, 5), kNoise, b);
      const auto F = dense(unit.fisher()), inverse = dense(unit.inverse());
      const auto eigenvalues = torch::linalg_eigvalsh(F);
      const double condition = (eigenvalues[-1] / eigenvalues[0]).item<double>();
      constexpr double kPerCondition = 1e-15;
      EXPECT_LT(relative_error(F.mm(inverse), torch::eye(F.size(0), torch::kDouble)),
                kPerCondition * std::max(condition, 10.))
          << length;
      EXPECT_TRUE(torch::equal(inverse, inverse.t()) ||
                  relative_error(inverse, inverse.t()) < kPerCondition);
    }
  }
}

TEST(TanhUnitTest, ASaturatedUnitHasNoInverse) {
  const TanhUnit unit(weights(1), kNoise, 1e3);
  EXPECT_EQ(dense(unit.fisher()).norm().item<double>(), 0);
  expect_error([&] { unit.inverse(); }, "saturated");
}

// ---- Against the library's own Fisher matrix of a network with such a unit. ----

constexpr double kLength = 0.8, kBias = 0.4;

/// ‖F_sampled - F‖² of n random inputs.
double squared_error(int64_t n, uint64_t seed) {
  const auto w = weights(kLength).requires_grad_(true);
  const auto b = torch::full({}, kBias, torch::kDouble).requires_grad_(true);
  const auto z = (randn({n, 3}, seed).mv(w) + b).tanh().unsqueeze(1);
  const LossGraph graph(nll(Gaussian(z, kNoise * kNoise), torch::zeros_like(z)), {w, b});
  const auto difference =
      dense(fisher(graph)) - dense(TanhUnit(w.detach(), kNoise, kBias).fisher());
  return difference.square().sum().item<double>();
}

/// N E‖F_sampled - F‖² = E‖φ'² x xᵀ/σ²‖² - ‖F‖², by quadrature.
double variance_of_one_input() {
  const auto [x, p] = gaussian_grid();
  const auto slope = 1 - (x.mv(weights(kLength)) + kBias).tanh().square();
  const auto size = slope.square() * (1 + x.square().sum(1)) / (kNoise * kNoise);
  const auto F = fisher_by_quadrature(weights(kLength), kBias);
  return (p.dot(size.square()) - F.square().sum()).item<double>();
}

TEST(TanhUnitTest, FisherOfANetworkTendsToItWithTheRootOfTheInputs) {
  constexpr int kSeeds = 30;
  constexpr double kSpread = 0.5;  // three times that of a mean of 30 squares
  for (const int64_t n : {100, 800, 6400}) {
    double mean = 0;
    for (int seed = 0; seed < kSeeds; ++seed) mean += squared_error(n, 710 + seed) / kSeeds;
    EXPECT_NEAR(static_cast<double>(n) * mean / variance_of_one_input(), 1, kSpread) << n;
  }
}

// ---- As the metric of an optimizer: natural-gradient learning of a perceptron. ----

TEST(TanhUnitTest, AsAMetricItTakesTheStepsOfItsInverse) {
  constexpr double kRate = 0.1, kSolve = 1e-11;  // CG to a residual of 1e-14
  const auto x = randn({40, 3}, 731), y = randn({40, 1}, 732);
  const auto w = weights(kLength).requires_grad_(true);
  const auto b = torch::full({1}, kBias, torch::kDouble).requires_grad_(true);
  const auto loss = [&] {
    return nll(Gaussian((x.mv(w) + b).tanh().unsqueeze(1), kNoise * kNoise), y);
  };
  const Metric metric("tanh unit", [&](const ParameterLayout& layout) {
    const auto theta = layout.values();
    return TanhUnit(theta.narrow(0, 0, 3), kNoise, theta[3].item<double>()).fisher();
  });
  NaturalGradient optimizer(
      {w, b},
      NaturalGradientOptions(kRate).damping(Tikhonov(0)).solver(tight_solver()).curvature(metric));
  for (int k = 0; k < 3; ++k) {
    const auto before = torch::cat({w, b}).detach();
    const auto g = torch::autograd::grad({loss()}, {w, b});
    const auto inverse = TanhUnit(w.detach(), kNoise, b.item<double>()).inverse();
    optimizer.step(loss());
    const auto step = -kRate * inverse.multiply(torch::cat({g[0], g[1]}));
    EXPECT_LT(relative_error(torch::cat({w, b}) - before, step), kSolve);
  }
}

// ---- Faults. ----

TEST(TanhUnitTest, WorksInFloat32) {
  constexpr double kRoundingFloat = 1e-6;
  const auto w = weights(0.5);
  EXPECT_LT(relative_error(dense(TanhUnit(w.to(torch::kFloat), kNoise, 0.4).fisher()),
                           fisher_by_quadrature(w, 0.4)),
            kRoundingFloat);
}

TEST(TanhUnitTest, MalformedUnitsThrow) {
  expect_error([] { TanhUnit(randn({1, 3}, 1), 1); }, "[n]");
  expect_error([] { TanhUnit(torch::ones({3}, torch::kLong), 1); }, "Long");
  expect_error([] { TanhUnit(Tensor(), 1); }, "undefined");
  expect_error([] { TanhUnit(randn({3}, 1) / 0.0, 1); }, "finite");
  expect_error([] { TanhUnit(randn({3}, 1), 1, std::nan("")); }, "finite");
  for (const double noise : {0., -1., std::nan(""), double(INFINITY)}) {
    expect_error([&] { TanhUnit(randn({3}, 1), noise); }, "noise");
  }
}

}  // namespace
}  // namespace natgrad::testing::tanh_unit_test
