// Whether a model's way through its distributions depends on its parameters θ = g(γ): not for the
// natural gradient in the limit of small steps, nor for steps of any size where g is affine; for
// Newton's method it does even in the limit; damping needs more of g (Martens, "New perspectives",
// section 10).

#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/likelihoods/bernoulli.h>

#include "theory/reparameterisation.h"
#include "theory/small_network.h"

namespace natgrad::testing::invariant_paths_test {
namespace {

constexpr double kTime = 1;
// Conjugate gradients on three parameters to rounding, over a few steps.
constexpr double kRounding = 1e-12;

struct InvariantPaths : ::testing::Test {
  const Tensor x = randn({12, 3}, 6411), y = (randn({12}, 6412) > 0).to(torch::kDouble);
  const Tensor start = randn({3}, 6413);  // γ₀
  const Reparameterisation g{3, 6414};

  using Map = std::function<Tensor(const Tensor& gamma)>;
  static Tensor same(const Tensor& theta) { return theta; }
  Map smooth() const {
    return [this](const Tensor& gamma) { return g(gamma); };
  }

  Tensor h(const Tensor& theta) const { return nll(Bernoulli(x.mv(theta)), y); }
  /// Where `steps` steps lead in the parameters from which `map` makes θ.
  Tensor walk(const Tensor& from, const Map& map, const NaturalGradientOptions& options,
              int steps) const {
    const auto parameters = from.detach().clone().requires_grad_();
    NaturalGradient optimizer({parameters}, options);
    for (int k = 0; k < steps; ++k) {
      optimizer.step(h(map(parameters)));
      EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
      EXPECT_NE(optimizer.summary().solver.termination, Termination::NegativeCurvature);
    }
    return parameters.detach();
  }
  /// The distance in θ between the ways in γ and in θ.
  double difference(double rate, int steps) const {
    return difference(plain_natural_gradient(rate), steps);
  }
  double difference(const NaturalGradientOptions& options, int steps) const {
    return (g(walk(start, smooth(), options, steps)) - walk(g(start), same, options, steps))
        .norm()
        .item<double>();
  }
};

TEST_F(InvariantPaths, OfTheNaturalGradientMeetAsStepsGetSmaller) {
  for (const int steps : {20, 40}) {
    const double coarse = difference(kTime / steps, steps);
    EXPECT_NEAR(order(coarse, difference(kTime / steps / 2, 2 * steps)), 1, 0.1) << steps;
  }
}

TEST_F(InvariantPaths, OfOneStepDifferInSecondOrder) {
  for (const double rate : {0.1, 0.05}) {
    EXPECT_NEAR(order(difference(rate, 1), difference(rate / 2, 1)), 2, 0.1) << rate;
  }
}

// The matrix of any mean of JᵀAJ with an A that knows no parameters, the empirical Fisher's too.
TEST_F(InvariantPaths, OfTheEmpiricalFisherMatrixMeetToo) {
  const auto apart = [&](int steps) {
    const auto options = plain_natural_gradient(kTime / steps).curvature(EmpiricalFisher());
    return difference(options, steps);
  };
  EXPECT_NEAR(order(apart(40), apart(80)), 1, 0.1);
}

/// θ ← θ - ε H⁻¹∇h.
NaturalGradientOptions newton(double rate) {
  return plain_natural_gradient(rate).curvature(Hessian());
}

TEST_F(InvariantPaths, OfNewtonsMethodStayApart) {
  const double coarse = difference(newton(kTime / 20), 20);
  const double fine = difference(newton(kTime / 40), 40);
  EXPECT_NEAR(order(coarse, fine), 0, 0.1);
  EXPECT_GT(fine, 10 * difference(kTime / 40, 40));
}

// ---- g affine, θ = A γ + c, and steps of any size. ----

struct AffinePaths : InvariantPaths {
  const Tensor shift = randn({3}, 6421), stretch = random_spd(3, 20, 6422),
               rotation = random_orthogonal(3, 6423);

  double difference_under(const Tensor& A, const NaturalGradientOptions& options) const {
    const auto map = [&](const Tensor& gamma) { return A.mv(gamma) + shift; };
    return relative_error(map(walk(start, map, options, 4)), walk(map(start), same, options, 4));
  }
};

TEST_F(AffinePaths, OfTheNaturalGradientAreTheSame) {
  for (const double rate : {0.1, 0.7, 1.0}) {
    EXPECT_LT(difference_under(stretch, plain_natural_gradient(rate)), kRounding) << rate;
  }
}

TEST_F(AffinePaths, OfNewtonsMethodAreTheSame) {
  EXPECT_LT(difference_under(stretch, newton(0.7)), kRounding);
  // Here H is F, as θ is natural: by a smooth map the two part.
  const auto by_gamma = walk(start, smooth(), newton(0.7), 1);
  const auto natural = walk(start, smooth(), plain_natural_gradient(0.7), 1);
  EXPECT_GT(relative_error(by_gamma, natural), 0.01);
}

TEST_F(AffinePaths, OfTikhonovsDampingAreTheSameUnderRotationsOnly) {
  const auto damped = plain_natural_gradient(0.7, 0.5);
  EXPECT_LT(difference_under(rotation, damped), kRounding);
  EXPECT_GT(difference_under(stretch, damped), 0.05);
}

TEST_F(AffinePaths, OfTheDefaultOptimizerAreTheSameUnderRotations) {
  // λ as measured, the memory and the truncated solve too.
  EXPECT_LT(difference_under(rotation, NaturalGradientOptions()), kRounding);
  EXPECT_GT(difference_under(stretch, NaturalGradientOptions()), 0.01);
}

}  // namespace
}  // namespace natgrad::testing::invariant_paths_test
