#include <natgrad/step_control/quadratic_model_step.h>

#include "step_control/quadratic_descent.h"
#include "support/krylov.h"

namespace natgrad::testing::quadratic_model_step_test {
namespace {

constexpr double kRounding = 1e-12;
constexpr double kFloat = 1e-4;  // ε of float times the condition, 100
constexpr int64_t kSize = 12;

/// The model g, A, a direction d that is nobody's solution, and a last displacement p.
struct Case {
  Tensor A, g, d, p;
  double rate = 1;
  int64_t products = 0;

  explicit Case(uint64_t seed = 1)
      : A(random_spd(kSize, 100, seed)),
        g(randn({kSize}, seed + 1)),
        d(-g + randn({kSize}, seed + 2)),
        p(randn({kSize}, seed + 3)) {}

  Step choose(QuadraticModelStep rule = {}) {
    const LinearOperator matrix("A", kSize, A.options(), [this](const Tensor& v) {
      ++products;
      return A.mv(v);
    });
    const Solution solution{d, {}};
    const auto at_rate = [this](const Tensor& v) { return rate * v; };
    return rule.choose({1, g, matrix, solution, p, at_rate, unasked_model()});
  }

  Case to_float() const {
    auto copy = *this;
    for (auto* tensor : {&copy.A, &copy.g, &copy.d, &copy.p}) *tensor = tensor->to(torch::kFloat);
    return copy;
  }
};

/// argmin gᵀδ + ½ δᵀAδ over the span of the columns, by an orthonormal basis of it.
Tensor minimiser(const Case& c, const std::vector<Tensor>& columns) {
  const auto Q = std::get<0>(torch::linalg_qr(torch::stack(columns, 1)));
  return -Q.mv(torch::linalg_solve(Q.t().mm(c.A).mm(Q), Q.t().mv(c.g)));
}

TEST(QuadraticModelStepTest, MinimisesTheModelOverThePlane) {
  for (const uint64_t seed : {1, 11, 21, 31}) {
    Case c(seed);
    const auto step = c.choose();
    EXPECT_TRUE(step.found);
    EXPECT_LT(relative_error(step.displacement, minimiser(c, {c.d, c.p})), kRounding);
    EXPECT_EQ(c.products, 2);
  }
}

TEST(QuadraticModelStepTest, TheFirstStepRescalesTheSolution) {
  Case c;
  c.p = Tensor();
  EXPECT_LT(relative_error(c.choose().displacement, minimiser(c, {c.d})), kRounding);
  EXPECT_EQ(c.products, 1);
}

TEST(QuadraticModelStepTest, WithoutMomentumTheLastDisplacementIsIgnored) {
  Case c;
  const auto rule = QuadraticModelStep().momentum(false);
  EXPECT_LT(relative_error(c.choose(rule).displacement, minimiser(c, {c.d})), kRounding);
  EXPECT_EQ(c.products, 1);
  EXPECT_FALSE(rule.keeps_displacement());
  EXPECT_TRUE(QuadraticModelStep().keeps_displacement());
}

TEST(QuadraticModelStepTest, TheModelsMinimiserItselfIsLeftAsItIs) {
  Case c;
  c.d = -torch::linalg_solve(c.A, c.g);
  EXPECT_LT(relative_error(c.choose().displacement, c.d), kRounding);
}

// With d = -g, which is all that it is given, it is the method of conjugate gradients.
TEST(QuadraticModelStepTest, OfGradientsItIsConjugateGradients) {
  Case c;
  auto theta = torch::zeros({kSize}, torch::kDouble);
  const auto b = c.g;
  c.p = Tensor();
  QuadraticModelStep rule;
  for (int64_t k = 1; k <= 8; ++k) {
    c.g = c.A.mv(theta) - b;
    c.d = -c.g;
    const auto step = c.choose(rule);
    theta = theta + step.displacement;
    c.p = step.kept;
    EXPECT_LT(relative_error(theta, krylov_minimiser(c.A, b, k)), 100 * kRounding) << "k = " << k;
  }
}

TEST(QuadraticModelStepTest, AParallelLastDisplacementAddsNothing) {
  for (const double factor : {-3., 1., 1e-8, 1e8}) {
    Case c;
    const auto alone = minimiser(c, {c.d});
    c.p = factor * c.d;
    EXPECT_LT(relative_error(c.choose().displacement, alone), kRounding) << factor;
    c.p = c.p + 1e-9 * factor * c.d.norm() * randn({kSize}, 5);  // 1 - cos² near 1e-18
    EXPECT_LT(relative_error(c.choose().displacement, alone), kRounding) << factor;
    EXPECT_LT(relative_error(c.to_float().choose().displacement, alone), kFloat) << factor;
  }
}

TEST(QuadraticModelStepTest, ANearlyParallelOneIsStillUsed) {
  Case c;
  c.p = c.d + 1e-4 * c.p;
  // 1 - cos² near 1e-8: as many roundings of it are lost.
  EXPECT_LT(relative_error(c.choose().displacement, minimiser(c, {c.d, c.p})), 1e8 * 1e-15);
}

TEST(QuadraticModelStepTest, AZeroLastDisplacementAddsNothing) {
  Case c;
  c.p = torch::zeros_like(c.p);
  EXPECT_LT(relative_error(c.choose().displacement, minimiser(c, {c.d})), kRounding);
}

TEST(QuadraticModelStepTest, HalfTheLearningRateIsHalfTheStepAndThatIsKept) {
  Case c;
  const auto whole = c.choose().displacement;
  c.rate = 0.5;
  const auto step = c.choose();
  EXPECT_LT(relative_error(step.displacement, 0.5 * whole), kRounding);
  EXPECT_TRUE(identical(step.kept, step.displacement));
}

// In float squares of such numbers under- and overflow.
TEST(QuadraticModelStepTest, TheLengthsOfTheDirectionsDoNotMatter) {
  const auto expected = minimiser(Case(), {Case().d, Case().p});
  for (const double size : {1e-25, 1e25}) {
    Case c;
    c.d = size * c.d;
    c.p = c.p / size;
    EXPECT_LT(relative_error(c.choose().displacement, expected), kRounding) << size;
    EXPECT_LT(relative_error(c.to_float().choose().displacement, expected), kFloat) << size;
  }
}

/// h of the true curvature B where the model has A; counts evaluations.
class TrueLoss final : public TrialLosses {
 public:
  TrueLoss(Tensor g, Tensor B) : g_(std::move(g)), B_(std::move(B)) {}
  double start() override { return 1; }
  double at(const Tensor& d) override {
    ++evaluations;
    return 1 + (g_.dot(d) + 0.5 * d.dot(B_.mv(d))).item<double>();
  }
  double at(const Tensor&, Tensor&) override { throw std::logic_error("no gradient is needed"); }
  double rounding() override { return kRounding; }
  int evaluations = 0;

 private:
  Tensor g_, B_;
};

Step fitted(Case& c, TrueLoss& trials) {
  const LinearOperator matrix("A", kSize, c.A.options(),
                              [&](const Tensor& v) { return c.A.mv(v); });
  const Solution solution{c.d, {}};
  const auto as_is = [](const Tensor& v) { return v; };
  return QuadraticModelStep().fitted(true).choose(
      {1, c.g, matrix, solution, c.p, as_is, unasked_model(), nullptr, &trials});
}

// A part of the batch has missed most of the curvature: the model's step is 10 times too long.
TEST(QuadraticModelStepTest, AFittedLengthIsTheTrueMinimumAlongTheStep) {
  constexpr double kMissed = 10;
  Case c;
  TrueLoss trials(c.g, kMissed * c.A);
  const auto step = fitted(c, trials), proposed = c.choose();
  EXPECT_LT(relative_error(step.proposal, proposed.displacement), kRounding);
  EXPECT_LT(relative_error(step.displacement, proposed.displacement / kMissed), kRounding);
  EXPECT_TRUE(identical(step.kept, step.displacement));
  EXPECT_GT(*step.proposal_loss, 1);
  EXPECT_LT(*step.loss, 1);
  EXPECT_EQ(trials.evaluations, 2);
}

TEST(QuadraticModelStepTest, AModelThatHoldsIsNotShortened) {
  Case c;
  TrueLoss trials(c.g, 0.99 * c.A);
  EXPECT_LT(relative_error(fitted(c, trials).displacement, c.choose().displacement), kRounding);
  EXPECT_EQ(trials.evaluations, 1);
}

TEST(QuadraticModelStepTest, FittingNeedsTrials) {
  Case c;
  EXPECT_TRUE(QuadraticModelStep().fitted(true).needs_trials());
  EXPECT_FALSE(QuadraticModelStep().needs_trials());
  expect_error([&] { c.choose(QuadraticModelStep().fitted(true)); }, "with a closure");
}

/// diag(1, ..., 1, -1).
Tensor indefinite() {
  auto diagonal = torch::ones({kSize}, torch::kDouble);
  diagonal[kSize - 1] = -1;
  return torch::diag(diagonal);
}

TEST(QuadraticModelStepTest, NegativeOrNoCurvatureAlongTheSolutionIsNotFound) {
  Case c;
  const auto zero = torch::zeros_like(c.d);
  for (const auto& A : {indefinite(), torch::zeros_like(c.A)}) {
    c.A = A;
    c.d = torch::zeros_like(c.d).index_fill(0, torch::tensor({kSize - 1}), 1);
    const auto step = c.choose();
    EXPECT_FALSE(step.found);
    EXPECT_TRUE(identical(step.displacement, zero));
    EXPECT_TRUE(identical(step.kept, zero));
  }
}

// M falls without end on the plane; along the solution it has its minimum.
TEST(QuadraticModelStepTest, NegativeCurvatureBesideTheSolutionLeavesTheLastDisplacementOut) {
  Case c;
  c.A = indefinite();
  c.d = -c.g.index_fill(0, torch::tensor({kSize - 1}), 0);
  c.p = torch::zeros_like(c.d).index_fill(0, torch::tensor({kSize - 1}), 1) + 0.1 * c.d;
  const auto step = c.choose();
  EXPECT_TRUE(step.found);
  EXPECT_LT(relative_error(step.displacement, c.d), kRounding);
}

TEST(QuadraticModelStepTest, NumbersThatAreNotFiniteAreNotFound) {
  for (const double bad : {std::nan(""), HUGE_VAL}) {
    Case product, solution, gradient;
    product.A[0][0] = bad;
    solution.d[0] = bad;
    gradient.g[0] = bad;
    for (auto* c : {&product, &solution, &gradient}) {
      const auto step = c->choose();
      EXPECT_FALSE(step.found);
      EXPECT_TRUE(identical(step.displacement, torch::zeros_like(c->d)));
    }
  }
}

TEST(QuadraticModelStepTest, NoSolutionIsNoStep) {
  Case c;
  c.d = torch::zeros_like(c.d);
  const auto step = c.choose();
  EXPECT_TRUE(step.found);
  EXPECT_TRUE(identical(step.displacement, c.d));
  EXPECT_EQ(c.products, 0);
}

}  // namespace
}  // namespace natgrad::testing::quadratic_model_step_test
