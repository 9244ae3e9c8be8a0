// float32 at the ends of its range: a loss or inputs times 1e18 or 1e-18, or parameters in such
// units, take the same steps up to rounding.

#include <gtest/gtest.h>
#include <natgrad/natgrad.h>
#include <torch/torch.h>

#include "fuzz/steps.h"
#include "fuzz/watch.h"
#include "support/oracles.h"

namespace natgrad::testing::scales_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kSteps = 8;
// Eight steps in float32, whose roundings differ and grow from step to step.
constexpr double kTolerance = 2e-2;
// The same where a scale is a power of two, by which every product is multiplied exactly.
constexpr double kExact = 1e-5;

struct Scaling {
  std::string name;
  double loss = 1, inputs = 1;
};

/// How far each of some steps has come, in units of the unscaled parameters.
struct Course {
  std::vector<Tensor> theta;
  std::vector<StepOutcome> outcomes;
};

/// A regression of a tanh net whose first layer takes scaled inputs by weights as much smaller.
Course train(const NaturalGradientOptions& options, const Scaling& scaling, bool is_linear) {
  const auto single = [](const Tensor& t) { return t.to(torch::kFloat); };
  const auto x = single(randn({16, 3}, 1)) * scaling.inputs, y = single(randn({16, 2}, 2));
  auto W = (single(0.5 * randn({4, 3}, 3)) / scaling.inputs).requires_grad_();
  auto V = single(0.5 * randn({2, 4}, 4)).requires_grad_();
  NaturalGradient optimizer(std::vector<Tensor>{W, V}, options);
  Course course;
  for (int step = 0; step < kSteps; ++step) {
    optimizer.step([&] {
      const auto h = x.mm(W.t());
      return F::mse_loss((is_linear ? h : h.tanh()).mm(V.t()), y) * scaling.loss;
    });
    course.outcomes.push_back(optimizer.summary().outcome);
    course.theta.push_back(torch::cat({(W.detach().to(torch::kDouble) * scaling.inputs).flatten(),
                                       V.detach().to(torch::kDouble).flatten()}));
  }
  return course;
}

void expect_same(const Course& scaled, const Course& plain, double tolerance = kTolerance) {
  for (int step = 0; step < kSteps; ++step) {
    EXPECT_EQ(scaled.outcomes[step], plain.outcomes[step]) << "step " << step;
    EXPECT_LT(relative_error(scaled.theta[step], plain.theta[step]), tolerance) << "step " << step;
  }
}

/// λ in units of the curvature, for losses of other units.
fuzz::NamedOptions in_units(const std::string& name, double units) {
  if (name == "hessian_free") {
    return {name, presets::hessian_free().damping(LevenbergMarquardt()
                                                      .initial(units)
                                                      .least(1e-10 * units)
                                                      .largest(1e10 * units)
                                                      .hindsight(true))};
  }
  for (const auto& method : fuzz::all_presets()) {
    if (method.name == name) return method;
  }
  return {};
}

struct Scales : ::testing::TestWithParam<double> {};

TEST_P(Scales, OfTheLossAreNoMatterToTheDefault) {
  const fuzz::Quiet quiet;
  for (const bool is_linear : {true, false}) {
    SCOPED_TRACE(is_linear);
    expect_same(train({}, {"loss", GetParam()}, is_linear), train({}, {"plain"}, is_linear));
  }
}

TEST_P(Scales, OfTheLossAreNoMatterToPresetsInItsUnits) {
  const fuzz::Quiet quiet;
  for (const auto* name : {"natural_gradient", "hessian_free", "krylov_subspace_descent"}) {
    SCOPED_TRACE(name);
    // Its fourth root too, for a preconditioner that is a power of ¾.
    const double scale = std::exp2(4 * std::round(std::log2(GetParam()) / 4));
    const auto scaled = train(in_units(name, scale).options, {"loss", scale}, false);
    expect_same(scaled, train(in_units(name, 1).options, {"plain"}, false), kExact);
  }
}

// Without damping the natural gradient does not ask in which units parameters are.
TEST_P(Scales, OfInputsAreNoMatterToTheNaturalGradient) {
  const fuzz::Quiet quiet;
  const auto options = NaturalGradientOptions(0.5).curvature(Fisher()).solver(Dual()).damping(
      Proximal().momentum(0));
  // All of the parameters in the unit: one layer.
  const auto course = [&](double scale) {
    const auto x = randn({16, 3}, 1).to(torch::kFloat) * scale;
    const auto y = torch::randint(2, {16}, seeded(2), torch::TensorOptions(torch::kLong));
    auto W = (0.5 * randn({2, 3}, 3)).to(torch::kFloat).div(scale).requires_grad_();
    NaturalGradient optimizer(std::vector<Tensor>{W}, options);
    Course result;
    for (int step = 0; step < kSteps; ++step) {
      optimizer.step([&] { return F::cross_entropy(x.mm(W.t()), y); });
      result.outcomes.push_back(optimizer.summary().outcome);
      result.theta.push_back(W.detach().to(torch::kDouble) * scale);
    }
    return result;
  };
  expect_same(course(GetParam()), course(1));
}

INSTANTIATE_TEST_SUITE_P(Units, Scales, ::testing::Values(1e18, 1e-18, 1e9, 1e-9),
                         [](const auto& info) { return "Case" + std::to_string(info.index); });

}  // namespace
}  // namespace natgrad::testing::scales_test
