#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/graph/loss_graph.h>

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::gradient_noise_test {
namespace {

namespace F = torch::nn::functional;

constexpr int kDraws = 1500;
// Standard errors of the mean: a false alarm would have odds of 1e-5, and the seeds are fixed.
constexpr double kConfidence = 4.5;
// The standard error itself, as a share of the expectation: what these draws can tell apart.
constexpr double kResolution = 0.05;

/// As the default curvature draws it: by the likelihoods, or by a probe of a loss of the user's
/// own.
Tensor noise_of(const LossGraph& graph, uint64_t seed) {
  return FisherOrGaussNewton().at(graph).noise(seeded(seed));
}

struct Moments {
  double mean, standard_error;
};

Moments moments_of_noise(const LossGraph& graph) {
  std::vector<double> draws;
  for (int i = 0; i < kDraws; ++i) {
    draws.push_back(noise_of(graph, 3000 + i).item<double>());
  }
  const auto sample = torch::tensor(draws, torch::kDouble);
  return {sample.mean().item<double>(), sample.std().item<double>() / std::sqrt(double(kDraws))};
}

void expect_mean(const LossGraph& graph, double expected) {
  const auto [mean, standard_error] = moments_of_noise(graph);
  EXPECT_NEAR(mean, expected, kConfidence * standard_error);
  EXPECT_LT(standard_error, kResolution * expected);
}

double trace_of_fisher(const Problem& problem) {
  std::vector<Tensor> rows;
  for (const auto& z : problem.outputs) rows.push_back(jacobian(z, problem.network.parameters));
  const auto j = torch::cat(rows);
  return j.t()
      .mm(closed_form_fisher(problem.loss_case, problem.outputs))
      .mm(j)
      .trace()
      .item<double>();
}

// ---- Means over N examples: tr(F)/N. ----

struct NoiseOfMeans : ::testing::TestWithParam<std::string> {};

TEST_P(NoiseOfMeans, IsTheTraceOfTheFisherMatrixOverN) {
  const auto problem = make_problem(loss_named(GetParam()));
  expect_mean(problem.graph, trace_of_fisher(problem) / kExamples);
}

INSTANTIATE_TEST_SUITE_P(Losses, NoiseOfMeans,
                         ::testing::Values("CrossEntropyMean", "CrossEntropyLabelSmoothing",
                                           "CrossEntropyOfImages", "BinaryCrossEntropyMean",
                                           "MseMean", "NllBernoulliMean", "NllGaussianMean"),
                         [](const auto& info) { return info.param; });

TEST(GradientNoiseTest, OfASumIsTheTraceOverN) {
  // F of a sum is N times larger, and so is the noise.
  const auto problem = make_problem(loss_named("CrossEntropySum"));
  expect_mean(problem.graph, trace_of_fisher(problem) / kExamples);
}

TEST(GradientNoiseTest, OfUnequalWeightsFollowsTheDefinition) {
  // E‖Σ sᵢ Jᵢᵀ B rᵢ‖² / Σs = Σ sᵢ² tr(Jᵢᵀ F_R Jᵢ) / Σs.
  const auto problem = make_problem(loss_named("CrossEntropyWeightedExamples"));
  const auto s = problem.loss_case.terms[0].weights.view(-1);
  const auto j = jacobian(problem.z, problem.network.parameters);
  const auto f_r = closed_form_fisher({0, categorical(), s.pow(2).unsqueeze(1)}, problem.z);
  const auto trace = j.t().mm(f_r).mm(j).trace().item<double>();
  expect_mean(problem.graph, trace / s.sum().item<double>());
}

TEST(GradientNoiseTest, OfIgnoredExamplesCountsTheOthersOnly) {
  const auto problem = make_problem(loss_named("CrossEntropyIgnoreIndex"));
  expect_mean(problem.graph, trace_of_fisher(problem) / 2);  // two of four are ignored
}

TEST(GradientNoiseTest, OfTheUsersOwnLossIsTheTraceOfGaussNewtonOverN) {
  const auto problem = make_problem(loss_named("OwnProbabilitiesByHand"));
  const auto likelihood = make_problem(loss_named("CrossEntropyMean"));
  expect_mean(problem.graph, trace_of_fisher(likelihood) / kExamples);
}

// ---- A draw. ----

struct NoiseDraw : ::testing::TestWithParam<std::string> {
  Problem problem = make_problem(loss_named(GetParam()));
};

TEST_P(NoiseDraw, ScalesWithTheLoss) {
  constexpr double kScale = 128;  // a power of two: exact
  const LossGraph scaled(kScale * problem.loss, problem.network.parameters);
  EXPECT_TRUE(identical(noise_of(scaled, 1), kScale * noise_of(problem.graph, 1)));
}

TEST_P(NoiseDraw, IsANonnegativeNumberOnTheGraphsDtype) {
  const auto noise = noise_of(problem.graph, 2);
  EXPECT_EQ(noise.dim(), 0);
  EXPECT_GE(noise.item<double>(), 0);
  EXPECT_FALSE(noise.requires_grad());
}

TEST_P(NoiseDraw, FollowsItsSeedAlone) {
  torch::manual_seed(1);
  const auto first = noise_of(problem.graph, 3);
  const auto from_default = torch::rand({2});
  torch::manual_seed(1);
  EXPECT_TRUE(identical(torch::rand({2}), from_default));  // the user's generator is not used
  EXPECT_TRUE(identical(noise_of(problem.graph, 3), first));
  EXPECT_FALSE(identical(noise_of(problem.graph, 4), first));
}

INSTANTIATE_TEST_SUITE_P(Losses, NoiseDraw,
                         ::testing::Values("CrossEntropyMean", "BinaryCrossEntropyWeight",
                                           "NllGaussianWeighted", "OwnProbabilitiesByHand",
                                           "HeadsOfTwoFamilies", "OwnLossBesideALikelihood"),
                         [](const auto& info) { return info.param; });

// Positions of a sequence that no label has are no observations.
TEST(GradientNoiseTest, DoesNotGrowWithPadding) {
  const auto w = parameter({4, 3}, 2211);
  const auto x = randn({3, 8, 3}, 2212);
  auto labels = torch::full({3, 8}, -100);
  labels.narrow(1, 0, 2).copy_(torch::tensor({{0, 2}, {1, 3}, {3, 3}}));
  const LossGraph graph(F::cross_entropy(x.matmul(w.t()).transpose(1, 2), labels), {w});
  const auto noise = moments_of_noise(graph);
  const double expected = dense(fisher(graph)).trace().item<double>() / 3;
  EXPECT_NEAR(noise.mean, expected, kConfidence * noise.standard_error);
  EXPECT_LT(noise.standard_error, kResolution * expected);
}

TEST(GradientNoiseTest, IsZeroWhereTheModelIsCertain) {
  const auto w = parameter({3, 2}, 2201);
  const auto certain = torch::tensor({{1e4, -1e4, 0.}}, torch::kDouble);
  const auto z = randn({1, 2}, 2202).mm(w.t()) + certain;
  const LossGraph graph(F::cross_entropy(z, torch::tensor({0})), {w});
  EXPECT_EQ(noise_of(graph, 1).item<double>(), 0);
}

}  // namespace
}  // namespace natgrad::testing::gradient_noise_test
