// "The eigenvalues of a Hessian determine convergence speed" (the note on natural gradient): of
// gradient descent, whose error along an eigenvector of F shrinks by 1 - αλᵢ a step; not of the
// natural gradient, where each shrinks by 1 - ε. On least squares, where F is the Hessian.

#include "theory/small_network.h"

namespace natgrad::testing::convergence_speed_test {
namespace {

constexpr double kRounding = 1e-10;
constexpr int64_t kSize = 4;

struct ConvergenceSpeed : ::testing::TestWithParam<double> {
  // Inputs with F = XᵀX/N of eigenvalues from 1 to 1/condition, and targets without noise.
  const Tensor values = geometric_spectrum(kSize, GetParam());
  const Tensor vectors = random_orthogonal(kSize, 7011);
  const Tensor x = (vectors * (kSize * values).sqrt()).t().contiguous();
  const Tensor solution = randn({kSize}, 7012), y = x.mv(solution);
  const Tensor w = torch::zeros({kSize}, torch::kDouble).requires_grad_();

  Tensor loss() const { return nll(Gaussian(x.mv(w)), y); }
  Tensor error() const { return vectors.t().mv(w.detach() - solution); }

  /// What is left of the error in each eigendirection after one step.
  template <class Step>
  Tensor left(Step step) const {
    const auto before = error();
    step();
    return error() / before;
  }
  /// Steps until the error is a thousandth.
  template <class Step>
  int steps(Step step) const {
    const double goal = 1e-3 * error().norm().item<double>();
    int count = 0;
    for (; error().norm().item<double>() > goal && count < 100000; ++count) step();
    return count;
  }
  auto steps_of(torch::optim::Optimizer& optimizer) const {
    return [this, &optimizer] {
      optimizer.zero_grad();
      const auto h = loss();
      h.backward({}, /*retain_graph=*/true);
      optimizer.step([h] { return h; });
    };
  }
  static Tensor every(double value) { return torch::full({kSize}, value, torch::kDouble); }
};

TEST_P(ConvergenceSpeed, OfGradientDescentFollowsTheEigenvalues) {
  torch::optim::SGD descent({w}, torch::optim::SGDOptions(1));  // 1/λ_max
  EXPECT_LT(relative_error(left(steps_of(descent)), 1 - values), kRounding);
}

TEST_P(ConvergenceSpeed, OfTheNaturalGradientIsTheSameInAllDirections) {
  NaturalGradient natural({w}, plain_natural_gradient(0.3));
  EXPECT_LT(relative_error(left(steps_of(natural)), every(0.7)), kRounding);
}

TEST_P(ConvergenceSpeed, OfDampedStepsFollowsTheEigenvaluesBelowTheDamping) {
  constexpr double kLambda = 0.05;
  NaturalGradient damped({w}, plain_natural_gradient(1, kLambda));
  EXPECT_LT(relative_error(left(steps_of(damped)), kLambda / (values + kLambda)), kRounding);
}

TEST_P(ConvergenceSpeed, InStepsIsTheConditionForGradientDescentOnly) {
  NaturalGradient natural({w}, plain_natural_gradient(0.3));
  EXPECT_EQ(steps(steps_of(natural)), 20);  // 0.7²⁰ = 8e-4
  {
    const torch::NoGradGuard no_grad;
    w.zero_();
  }
  torch::optim::SGD descent({w}, torch::optim::SGDOptions(1));
  EXPECT_GT(steps(steps_of(descent)), 2 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Conditions, ConvergenceSpeed, ::testing::Values(10, 100));

}  // namespace
}  // namespace natgrad::testing::convergence_speed_test
