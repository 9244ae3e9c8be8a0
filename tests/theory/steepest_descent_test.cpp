// The natural gradient as the direction of steepest descent: in a fixed metric, among distributions
// within a given divergence, and as the note's step to a given divergence (Martens, "New
// perspectives", section 6; the note on natural gradient, whose update leaves out the ∇ of the
// loss).

#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/solvers/kl_constrained_step.h>
#include <natgrad/step_control/kl_constrained.h>

#include <numbers>

#include "theory/small_network.h"

namespace natgrad::testing::steepest_descent_test {
namespace {

/// Logistic regression with two weights, so that a minimum on a closed curve is one over angles.
struct SteepestDescent : ::testing::Test {
  const Tensor x = randn({6, 2}, 5511), y = (randn({6}, 5512) > 0).to(torch::kDouble);
  const Tensor theta = parameter({2}, 5513);
  const LossGraph graph{nll(Bernoulli(x.mv(theta)), y), {theta}};
  const Tensor g = graph.gradient();

  /// F⁻¹∇h.
  Tensor natural() const { return tight_solver().solve(fisher(graph), g).x; }

  // h, and the mean over x of KL(p(θ + d) ‖ p(θ)) and of the reverse, for rows of d.
  Tensor logits(const Tensor& d) const { return (theta.detach() + d).mm(x.t()); }
  Tensor h(const Tensor& d) const {
    const auto z = logits(d);
    return (z.exp().log1p() - y * z).mean(1);
  }
  static Tensor divergence(const Tensor& z, const Tensor& other) {
    const auto part = [](const Tensor& a, const Tensor& b) {
      return a.sigmoid() * ((-b).exp().log1p() - (-a).exp().log1p());
    };
    return (part(z, other) + part(-z, -other)).mean(1);
  }
  Tensor forward_divergence(const Tensor& d) const {
    return divergence(logits(d), logits(torch::zeros_like(d)));
  }
  Tensor reverse_divergence(const Tensor& d) const {
    return divergence(logits(torch::zeros_like(d)), logits(d));
  }

  using Size = std::function<Tensor(const Tensor& d)>;

  /// d along each unit vector at which size(d) = level, by bisection.
  static Tensor boundary(const Size& size, const Tensor& unit, double level) {
    auto low = torch::zeros({unit.size(0), 1}, torch::kDouble), high = torch::ones_like(low);
    for (int k = 0; k < 55; ++k) {
      const auto middle = 0.5 * (low + high);
      const auto inside = (size(middle * unit) < level).unsqueeze(1);
      low = torch::where(inside, middle, low);
      high = torch::where(inside, high, middle);
    }
    return low * unit;
  }
  /// argmin of h(θ + d) over size(d) ≤ level, which lies on the boundary: over its angles, zooming.
  Tensor minimiser(const Size& size, double level) const {
    Tensor best;
    double centre = 0, width = std::numbers::pi;
    for (int zoom = 0; zoom < 9; ++zoom, width /= 8) {
      const auto angles = torch::linspace(centre - width, centre + width, 41, torch::kDouble);
      const auto d = boundary(size, torch::stack({angles.cos(), angles.sin()}, 1), level);
      const auto lowest = h(d).argmin().item<int64_t>();
      centre = number(angles[lowest]);
      best = d[lowest];
    }
    return best;
  }

  /// argmin over size(d) ≤ ε², divided by ε, tends to `limit` with an error of order ε.
  void expect_limit(const Size& size, const Tensor& limit) const {
    const auto error = [&](double eps) {
      return relative_error(minimiser(size, eps * eps) / eps, limit);
    };
    EXPECT_LT(error(0.00125), 0.02);
    for (const double eps : {0.005, 0.0025}) {
      EXPECT_NEAR(order(error(eps), error(eps / 2)), 1, 0.1) << "ε = " << eps;
    }
  }
};

TEST_F(SteepestDescent, InAFixedMetric) {
  const auto A = random_spd(2, 10, 5514);
  const auto solved = tight_solver().solve(from_dense(A), g).x;  // A⁻¹∇h
  expect_limit([&](const Tensor& d) { return (d.mm(A) * d).sum(1); },
               -solved / g.dot(solved).sqrt());
}

TEST_F(SteepestDescent, AmongDistributionsIsTheNaturalGradient) {
  // -√2 F⁻¹∇h/√(∇hᵀF⁻¹∇h), the library's step of c = 1.
  const auto limit = kl_constrained_step(natural(), g, 1);
  expect_limit([&](const Tensor& d) { return forward_divergence(d); }, limit);
  expect_limit([&](const Tensor& d) { return reverse_divergence(d); }, limit);
}

// ---- The note's step to a divergence of c, as the optimizer takes it. ----

struct StepsToADivergence : SteepestDescent {
  Tensor step(double c) const {
    const auto moving = theta.detach().clone().requires_grad_();
    NaturalGradient optimizer({moving}, plain_natural_gradient(1).step_rule(KLConstrained(c)));
    optimizer.step(nll(Bernoulli(x.mv(moving)), y));
    return moving.detach() - theta.detach();
  }
};

TEST_F(StepsToADivergence, HaveIt) {
  // To a relative error of order √c.
  for (const bool forward : {true, false}) {
    const auto excess = [&](double c) {
      const auto d = step(c).unsqueeze(0);
      return std::abs(number(forward ? forward_divergence(d) : reverse_divergence(d)) / c - 1);
    };
    EXPECT_LT(excess(1e-6), 1e-2);
    EXPECT_NEAR(std::log10(excess(1e-4) / excess(1e-6)), 1, 0.1);
  }
}

TEST_F(StepsToADivergence, LowerTheObjectiveMost) {
  // The note's argmin subject to KL = c, which is a descent step already, and this one.
  const auto distance = [&](double c) {
    const auto best = minimiser([&](const Tensor& d) { return reverse_divergence(d); }, c);
    return relative_error(step(c), best);
  };
  EXPECT_LT(distance(1e-6), 1e-2);
  EXPECT_NEAR(std::log10(distance(1e-3) / distance(1e-5)), 1, 0.1);
}

}  // namespace
}  // namespace natgrad::testing::steepest_descent_test
