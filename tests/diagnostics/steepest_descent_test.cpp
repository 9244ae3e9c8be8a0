#include <natgrad/diagnostics/steepest_descent.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/log_std_gaussian.h>

#include <numbers>

#include "diagnostics/traces.h"
#include "diagnostics/wrong_metrics.h"
#include "theory/small_network.h"

// argmin { h(θ + d) : KL ≤ ε² } / ε against -√2 F⁻¹∇h/‖∇h‖_{F⁻¹} (Martens, section 6).

namespace natgrad::testing::descent_diagnostic_test {
namespace {

constexpr double kOrder = 0.1;
// Where nine zooms of the angle, by eight each, and a bisection of 55 halvings leave the minimiser:
// the angle is known to the root of the rounding of h.
constexpr double kByZooming = 1e-6;

/// Logistic regression with two weights.
struct DescentDiagnostic : ::testing::Test {
  const Tensor x = randn({6, 2}, 5511), y = (randn({6}, 5512) > 0).to(torch::kDouble);
  const Tensor theta = parameter({2}, 5513);

  Tensor loss() const { return nll(Bernoulli(x.mv(theta)), y); }
  SteepestDescentReport descend(const Curvature& metric = Fisher(), bool reverse = false) const {
    return steepest_descent(
        {theta}, [&] { return loss(); }, metric, SteepestDescentOptions().reverse(reverse));
  }

  // h and KL(p(θ + d) ‖ p(θ)), or the reverse, for rows of d.
  Tensor logits(const Tensor& d) const { return (theta.detach() + d).mm(x.t()); }
  Tensor h(const Tensor& d) const {
    const auto z = logits(d);
    return (z.exp().log1p() - y * z).mean(1);
  }
  Tensor divergence(const Tensor& d, bool reverse) const {
    const auto part = [](const Tensor& a, const Tensor& b) {
      return a.sigmoid() * ((-b).exp().log1p() - (-a).exp().log1p());
    };
    auto a = logits(d), b = logits(torch::zeros_like(d));
    if (reverse) std::swap(a, b);
    return (part(a, b) + part(-a, -b)).mean(1);
  }
  /// The minimiser on the boundary, over its angles, zooming.
  Tensor minimiser(double level, bool reverse) const {
    Tensor best;
    double centre = 0, width = std::numbers::pi;
    for (int zoom = 0; zoom < 9; ++zoom, width /= 8) {
      const auto angles = torch::linspace(centre - width, centre + width, 41, torch::kDouble);
      const auto unit = torch::stack({angles.cos(), angles.sin()}, 1);
      auto low = torch::zeros({unit.size(0), 1}, torch::kDouble), high = torch::ones_like(low);
      for (int k = 0; k < 55; ++k) {
        const auto middle = 0.5 * (low + high);
        const auto inside = (divergence(middle * unit, reverse) < level).unsqueeze(1);
        low = torch::where(inside, middle, low);
        high = torch::where(inside, high, middle);
      }
      const auto d = low * unit;
      const auto lowest = h(d).argmin().item<int64_t>();
      centre = number(angles[lowest]);
      best = d[lowest];
    }
    return best;
  }
};

TEST_F(DescentDiagnostic, FindsTheMinimisers) {
  for (const bool reverse : {false, true}) {
    const auto report = descend(Fisher(), reverse);
    for (const auto& step : {report.steps.front(), report.steps.back()}) {
      EXPECT_TRUE(step.converged);
      EXPECT_NEAR(step.divergence, 1, 1e-9);
      const auto expected = minimiser(step.epsilon * step.epsilon, reverse);
      EXPECT_LT(relative_error(step.minimiser, expected), kByZooming) << step.epsilon;
    }
  }
}

TEST_F(DescentDiagnostic, TheLimitIsTheNaturalGradients) {
  const auto F = fisher_of(loss(), {theta}), g = gradient_of(loss(), {theta});
  const auto natural = F.inverse().mv(g);
  const auto limit = -std::numbers::sqrt2 * natural / g.dot(natural).sqrt();
  for (const bool reverse : {false, true}) {
    const auto report = descend(Fisher(), reverse);
    EXPECT_LT(relative_error(report.limit, limit), 1e-12);
    EXPECT_NEAR(report.order, 1, kOrder);
    EXPECT_TRUE(report.holds) << report.message();
    EXPECT_EQ(report.lambda, 0);
  }
}

TEST_F(DescentDiagnostic, FailsForWrongMetrics) {
  // Negated, the limit is no number.
  for (const auto& wrong : wrong_metrics()) {
    if (wrong.describe() == "missing a part") continue;  // of one output: below
    const auto report = descend(wrong);
    EXPECT_FALSE(report.holds) << report.message();
  }
}

// Singular, so that λ is added to both sides.
TEST_F(DescentDiagnostic, OfANetworkHoldsWithDamping) {
  const SmallNetwork network(831, 6, 3);
  const auto entropy = [&] {
    return torch::nn::functional::cross_entropy(network.forward(), network.labels);
  };
  const auto report = steepest_descent(network.parameters, entropy);
  EXPECT_GT(report.lambda, 0);
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_NEAR(report.order, 1, kOrder);
  for (const auto& wrong : wrong_metrics()) {
    EXPECT_FALSE(steepest_descent(network.parameters, entropy, wrong).holds) << wrong.describe();
  }
}

// A square of y - z, which is read as one of a location of either sign; and two kinds of outputs.
TEST_F(DescentDiagnostic, HoldsForResidualsWrittenEitherWay) {
  const SmallNetwork network(832, 40, 2);
  const auto target = network.targets.select(1, 0);
  const auto bend = [&] { return network.forward().select(1, 0); };
  const auto options = SteepestDescentOptions().largest(0.01);
  for (const std::function<Tensor()>& loss :
       {std::function<Tensor()>([&] { return (target - bend()).square().mean(); }),
        std::function<Tensor()>([&] { return (bend() - target).square().mean(); }),
        std::function<Tensor()>(
            [&] { return nll(LogStdGaussian(network.forward()), target.unsqueeze(1)); })}) {
    const auto report = steepest_descent(network.parameters, loss, Fisher(), options);
    EXPECT_TRUE(report.holds) << report.message();
  }
}

TEST_F(DescentDiagnostic, LeavesNoTrace) {
  const Traces before({theta});
  const auto call = [&] { return loss(); };
  steepest_descent({theta}, call);
  before.expect_none();
  expect_error([&] { steepest_descent({theta}, failing_at(4, call)); }, "own error");
  before.expect_none();
}

TEST_F(DescentDiagnostic, RefusesWhatHasNoLimit) {
  const auto call = [&] { return loss(); };
  const auto with = [&](const SteepestDescentOptions& options) {
    return [&, options] { steepest_descent({theta}, call, Fisher(), options); };
  };
  expect_error(with(SteepestDescentOptions().limit(1)), "limit");
  expect_error(with(SteepestDescentOptions().largest(-1)), "largest");
  expect_error(with(SteepestDescentOptions().lambda(-1)), "lambda");
  expect_error(with(SteepestDescentOptions().halvings(0)), "halves");
  const auto zero = torch::zeros({1}, torch::kDouble).requires_grad_();
  const auto half = torch::full({1}, 0.5, torch::kDouble);
  expect_error([&] { steepest_descent({zero}, [&] { return nll(Bernoulli(1 * zero), half); }); },
               "∇h is zero");
  const SmallNetwork network(833, 4, 2);
  const auto by_hand = [&] {
    const auto z = network.forward();
    const auto r = z.select(1, 0) - network.targets.select(1, 0), log_v = z.select(1, 1);
    return (r.square() * torch::exp(-log_v) + log_v).mean();
  };
  expect_error([&] { steepest_descent(network.parameters, by_hand); }, "LogVarianceGaussian");
}

}  // namespace
}  // namespace natgrad::testing::descent_diagnostic_test
