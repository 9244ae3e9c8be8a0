// With outputs linear in the parameters and squared error, one undamped step of rate one is
// ordinary least squares (Martens, section 9). A wrong normalisation of gradient against curvature,
// by N or by the number of outputs, would miss it.

#include <natgrad/curvature/fisher.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/gaussian.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::least_squares_test {
namespace {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;

// Theory's bar for condition numbers up to 1e4.
constexpr double kExact = 1e-12;

constexpr int64_t kRows = 40, kInputs = 5, kTargets = 3;

struct SquaredError {
  std::string name;
  std::function<Tensor(const Tensor& z, const Tensor& y)> loss;
};

std::ostream& operator<<(std::ostream& out, const SquaredError& error) { return out << error.name; }

const std::vector<SquaredError> kErrors = {
    {"MseMean", [](auto& z, auto& y) { return F::mse_loss(z, y); }},
    {"MseSum",
     [](auto& z, auto& y) { return F::mse_loss(z, y, F::MSELossFuncOptions(torch::kSum)); }},
    {"MseTargetsFirst", [](auto& z, auto& y) { return F::mse_loss(y, z); }},
    {"GaussianMean", [](auto& z, auto& y) { return nll(Gaussian(z), y); }},
    {"GaussianSum", [](auto& z, auto& y) { return nll(Gaussian(z), y, Reduction::Sum); }},
    {"GaussianOfAnotherVariance", [](auto& z, auto& y) { return nll(Gaussian(z, 0.03), y); }},
    {"OwnLoss", [](auto& z, auto& y) { return (outputs(z) - y).pow(2).mean(1).sum(); }},
    {"Scaled", [](auto& z, auto& y) { return 1e6 * F::mse_loss(z, y); }},
};

NaturalGradientOptions one_step() {
  return NaturalGradientOptions(1).damping(Tikhonov(0)).solver(tight_solver());
}

struct LeastSquares : ::testing::TestWithParam<SquaredError> {
  Tensor x = randn({kRows, kInputs}, 7001), y = randn({kRows, kTargets}, 7002);
  Tensor w = parameter({kTargets, kInputs}, 7003);

  void step(NaturalGradient& optimizer, const Tensor& inputs) {
    optimizer.step(GetParam().loss(inputs.mm(w.t()), y));
  }
  static Tensor solve(const Tensor& inputs, const Tensor& targets) {
    return std::get<0>(torch::linalg_lstsq(inputs, targets, {}, "gelsd")).t();
  }
};

TEST_P(LeastSquares, OneStepIsTheSolution) {
  NaturalGradient optimizer({w}, one_step());
  step(optimizer, x);
  EXPECT_LT(relative_error(w, solve(x, y)), kExact);
}

TEST_P(LeastSquares, ASecondStepStaysThere) {
  NaturalGradient optimizer({w}, one_step());
  step(optimizer, x);
  step(optimizer, x);
  EXPECT_LT(relative_error(w, solve(x, y)), kExact);
}

TEST_P(LeastSquares, OneStepIsTheSolutionOfIllConditionedInputs) {
  // Condition number 1e2 of the inputs, 1e4 of the curvature.
  const auto scaled = x * torch::logspace(0, -2, kInputs, 10, torch::kDouble);
  NaturalGradient optimizer({w}, one_step());
  step(optimizer, scaled);
  EXPECT_LT(relative_error(scaled.mm(w.t()), scaled.mm(solve(scaled, y).t())), kExact);
}

INSTANTIATE_TEST_SUITE_P(Losses, LeastSquares, ::testing::ValuesIn(kErrors), ByName());

TEST(LeastSquaresTest, WeightedExamplesGiveWeightedLeastSquares) {
  const auto x = randn({kRows, kInputs}, 7011), y = randn({kRows, kTargets}, 7012);
  const auto s = torch::rand({kRows, 1}, seeded(7013), torch::kDouble) + 0.1;
  const auto w = parameter({kTargets, kInputs}, 7014);
  NaturalGradient optimizer({w}, one_step());
  optimizer.step((s * nll(Gaussian(x.mm(w.t())), y, Reduction::None)).sum());
  const auto expected = torch::linalg_solve(x.t().mm(s * x), x.t().mm(s * y)).t();
  EXPECT_LT(relative_error(w, expected), kExact);
}

TEST(LeastSquaresTest, WeightDecayGivesRidgeRegression) {
  constexpr double kDecay = 0.3;
  const auto x = randn({kRows, kInputs}, 7021), y = randn({kRows, kTargets}, 7022);
  const auto w = parameter({kTargets, kInputs}, 7023);
  NaturalGradient optimizer({w}, one_step().weight_decay(kDecay));
  optimizer.step(nll(Gaussian(x.mm(w.t())), y, Reduction::Sum));
  const auto a = x.t().mm(x) + kDecay * torch::eye(kInputs, torch::kDouble);
  EXPECT_LT(relative_error(w, torch::linalg_solve(a, x.t().mm(y)).t()), kExact);
}

TEST(LeastSquaresTest, FisherTakesTheSameStep) {
  const auto x = randn({kRows, kInputs}, 7031), y = randn({kRows, kTargets}, 7032);
  const auto w = parameter({kTargets, kInputs}, 7033);
  NaturalGradient optimizer({w}, one_step().curvature(Fisher()));
  optimizer.step(nll(Gaussian(x.mm(w.t()), 0.5), y));
  EXPECT_LT(relative_error(w, torch::linalg_solve(x.t().mm(x), x.t().mm(y)).t()), kExact);
}

TEST(LeastSquaresTest, ProximalStepsKeepToTheSolutionOnceThere) {
  // The default damping has the same fixed point: with g = 0 the step is ZeroGradient or dies out.
  const auto x = randn({kRows, kInputs}, 7041), y = randn({kRows, kTargets}, 7042);
  const auto w = parameter({kTargets, kInputs}, 7043);
  const auto solution = torch::linalg_solve(x.t().mm(x), x.t().mm(y)).t();
  NaturalGradient optimizer({w});
  for (int k = 0; k < 400; ++k) optimizer.step(F::mse_loss(x.mm(w.t()), y));
  constexpr double kConverged = 1e-6;  // α = 0.1 of a damped step, 400 times
  EXPECT_LT(relative_error(w, solution), kConverged);
}

}  // namespace
}  // namespace natgrad::testing::least_squares_test
