// What the natural gradient's smooth path is. "Smoothly following the natural gradient can be
// interpreted as following the geodesic path in the Riemannian manifold towards the target
// distribution" (Martens, "New perspectives", end of section 6): true of the mixture geodesic, a
// straight line in the mean parameters; for three classes or more the Riemannian (Levi-Civita)
// geodesic of the Fisher metric, a great circle in √p, is another curve.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/likelihoods/natural_gaussian.h>

#include "theory/small_network.h"

namespace natgrad::testing::geodesic_test {
namespace {

constexpr double kTime = 1;

/// Eq. 6 with the fixed rate ε = kTime/steps; `observe` after each step.
template <class Loss, class Observe>
void follow(const Tensor& theta, int steps, Loss loss, Observe observe) {
  NaturalGradient optimizer({theta}, plain_natural_gradient(kTime / steps));
  for (int k = 0; k < steps; ++k) {
    optimizer.step(loss());
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    observe();
  }
}

// ---- Classes: p by its logits, towards q. ----

struct Path {
  double from_line = 0;    ///< farthest distance of p from the line p₀ q
  double from_circle = 0;  ///< farthest distance of √p from the plane of √p₀ and √q
  double end = 0;          ///< ‖p(T) - q - e^{-T}(p₀ - q)‖
};

Path path_of_classes(int steps) {
  const auto logits = torch::tensor({1.2, -0.7, 0.1}, torch::kDouble).requires_grad_();
  const auto q = torch::tensor({0.1, 0.3, 0.6}, torch::kDouble);
  const auto p = [&] { return logits.detach().softmax(0); };
  const auto p0 = p();
  const auto line = (p0 - q) / (p0 - q).norm();
  auto plane = torch::linalg_cross(p0.sqrt(), q.sqrt());
  plane = plane / plane.norm();
  Path path;
  follow(
      logits, steps, [&] { return nll(Categorical(logits.unsqueeze(0)), q.unsqueeze(0)); },
      [&] {
        const auto off = p() - q;
        const double beside = number((off - off.dot(line) * line).norm());
        path.from_line = std::max(path.from_line, beside);
        path.from_circle = std::max(path.from_circle, number(p().sqrt().dot(plane).abs()));
      });
  path.end = number((p() - q - std::exp(-kTime) * (p0 - q)).norm());
  return path;
}

TEST(GeodesicTest, ThePathOfClassesIsTheMixtureGeodesic) {
  // A straight line at the speed p' = q - p: what is beside it is the error of finite steps.
  const auto coarse = path_of_classes(50), fine = path_of_classes(100);
  EXPECT_NEAR(order(coarse.from_line, fine.from_line), 1, 0.1);
  EXPECT_NEAR(order(coarse.end, fine.end), 1, 0.1);
  EXPECT_LT(fine.end, 5e-3);
}

TEST(GeodesicTest, ThePathOfClassesIsNotTheGreatCircle) {
  const auto coarse = path_of_classes(50), fine = path_of_classes(100);
  EXPECT_GT(fine.from_circle, 10 * fine.from_line);
  EXPECT_NEAR(order(coarse.from_circle, fine.from_circle), 0, 0.1);  // not for want of steps
}

// ---- Natural parameters of any family: the mean parameters η obey η' = η_data - η. ----

struct GaussianMoments : ::testing::Test {
  const Tensor y = 0.8 + 1.7 * randn({30, 1}, 5711);
  const Tensor theta = torch::tensor({-0.5, -0.4}, torch::kDouble).requires_grad_();  // (a, b)

  Tensor loss() const { return nll(NaturalGaussian(theta.unsqueeze(0).expand({30, 2})), y); }
  /// (E[y], E[y²]) of the model.
  Tensor moments() const {
    const auto t = theta.detach();
    const auto mean = -t[0] / (2 * t[1]);
    return torch::stack({mean, mean.square() - 1 / (2 * t[1])});
  }
  Tensor of_the_data() const { return torch::stack({y.mean(), y.square().mean()}); }
};

TEST_F(GaussianMoments, DifferByTheGradient) {
  const LossGraph graph(loss(), {theta});
  EXPECT_LT(relative_error(graph.gradient(), moments() - of_the_data()), 1e-14);
}

TEST_F(GaussianMoments, ApproachTheDatasOnAStraightLine) {
  const auto start = theta.detach().clone(), first = moments();
  const auto error = [&](int steps) {
    {
      const torch::NoGradGuard no_grad;
      theta.copy_(start);
    }
    follow(
        theta, steps, [&] { return loss(); }, [] {});
    const auto expected = of_the_data() + std::exp(-kTime) * (first - of_the_data());
    return relative_error(moments(), expected);
  };
  const double coarse = error(50), fine = error(100);
  EXPECT_LT(fine, 1e-2);
  EXPECT_NEAR(order(coarse, fine), 1, 0.1);
}

}  // namespace
}  // namespace natgrad::testing::geodesic_test
