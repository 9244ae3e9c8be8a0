#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::monte_carlo_fisher_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double.
constexpr double kRounding = 1e-12;
constexpr double kZeroEigenvalue = 1e-12;
// A mean over draws lies beyond this many of its standard deviations once in 26 million trials; of
// some 20,000 entries none should.
constexpr double kDeviations = 5.5;

struct MonteCarloFisherMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);
};

TEST_P(MonteCarloFisherMatrix, IsUnbiased) {
  constexpr int kDraws = 100;
  const auto generator = seeded(5);
  const auto n = problem.size();
  auto sum = torch::zeros({n, n}, torch::kDouble), squares = sum.clone();
  for (int i = 0; i < kDraws; ++i) {
    const auto draw = dense(monte_carlo_fisher(problem.graph, 2, generator));
    sum += draw;
    squares += draw.square();
  }
  const auto mean = sum / kDraws;
  const auto deviation = ((squares / kDraws - mean.square()).clamp_min(0) / kDraws).sqrt();
  const auto expected = dense(fisher(problem.graph));
  const auto allowed = kDeviations * deviation + kRounding * expected.abs().max();
  EXPECT_TRUE((mean - expected).abs().lt(allowed).all().item<bool>())
      << ((mean - expected).abs() / allowed).max().item<double>();
}

// Families whose scores have light tails, so that the draws tell their own deviation.
std::vector<CurvatureCase> some_cases() {
  std::vector<CurvatureCase> cases;
  for (const auto* name : {"CrossEntropyOfImages", "BinaryCrossEntropyPositiveWeight", "HuberMean",
                           "L1Mean", "MseMean", "HeadsOfTwoFamilies"}) {
    cases.push_back({name, {"Tanh", tanh_network}, loss_named(name)});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, MonteCarloFisherMatrix, ::testing::ValuesIn(some_cases()),
                         ByName());

/// A Categorical whose every sample is one class.
class OneClass final : public Likelihood {
 public:
  OneClass(const Tensor& z, int64_t k) : Likelihood(z), categorical_(z), class_(k) {}
  std::string describe() const override { return "OneClass()"; }
  Tensor fisher_multiply(const Tensor& v) const override { return categorical_.fisher_multiply(v); }
  Tensor factor_multiply(const Tensor& r) const override { return categorical_.factor_multiply(r); }
  Tensor sample(std::optional<at::Generator>) const override {
    return torch::full({outputs().size(0)}, class_, torch::kLong);
  }
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const Tensor& y) const override { categorical_.check_targets(y); }
  Tensor align(const Tensor& per_observation) const override {
    return categorical_.align(per_observation);
  }

 private:
  Tensor compute_log_prob(const Tensor& y) const override { return categorical_.log_prob(y); }
  Tensor compute_score(const Tensor& y) const override { return categorical_.score(y); }
  Categorical categorical_;
  int64_t class_;
};

// The expectation over the model's classes without chance: each class is drawn for certain, and
// weighs what it is worth.
TEST(MonteCarloFisherTest, ExpectationOverAllClassesIsTheFisherMatrix) {
  const auto problem = make_problem(loss_named("CrossEntropySum"));
  const auto p = problem.z.detach().softmax(1);
  auto sum = torch::zeros({problem.size(), problem.size()}, torch::kDouble);
  for (int64_t k = 0; k < kOutputs; ++k) {
    const auto each =
        nll(OneClass(problem.z, k), torch::zeros({kExamples}, torch::kLong), at::Reduction::None);
    const LossGraph graph((p.select(1, k) * each).sum(), problem.network.parameters);
    sum += dense(monte_carlo_fisher(graph, 2, seeded(1)));
  }
  EXPECT_LT(relative_error(sum, dense(fisher(problem.graph))), kRounding);
}

TEST(MonteCarloFisherTest, HasAtMostAsManyDirectionsAsSamplesOfAllHeads) {
  for (const auto& [loss, heads] :
       {std::pair{"CrossEntropyMean", 1}, std::pair{"HeadsOfTwoFamilies", 2}}) {
    const auto problem = make_problem(loss_named(loss));
    for (const int64_t samples : {1, 2}) {
      const auto eigenvalues =
          torch::linalg_eigvalsh(dense(monte_carlo_fisher(problem.graph, samples, seeded(1))));
      const auto largest = eigenvalues.max().item<double>();
      EXPECT_GE(eigenvalues.min().item<double>(), -kZeroEigenvalue * largest);
      const auto rank = eigenvalues.gt(kZeroEigenvalue * largest).sum().item<int64_t>();
      EXPECT_LE(rank, heads * samples * kExamples) << loss;  // a class may be drawn twice
      EXPECT_GE(rank, heads * kExamples) << loss;
    }
  }
}

TEST(MonteCarloFisherTest, ErrorFallsAsTheRootOfTheSamples) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto expected = dense(fisher(problem.graph));
  const auto mean_square_error = [&](int64_t samples) {
    constexpr int kRepetitions = 40;
    double sum = 0;
    for (int i = 0; i < kRepetitions; ++i) {
      const auto draw = dense(monte_carlo_fisher(problem.graph, samples, seeded(100 + i)));
      sum += std::pow(relative_error(draw, expected), 2);
    }
    return sum / kRepetitions;
  };
  // Sixteen times the samples, a sixteenth of the squared error, known to some 20% each.
  EXPECT_NEAR(mean_square_error(2) / mean_square_error(32), 16, 8);
}

TEST(MonteCarloFisherTest, IsOneMatrixForAsLongAsItLives) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  const auto generator = seeded(9);
  const auto f = monte_carlo_fisher(problem.graph, 3, generator);
  const auto first = dense(f);
  EXPECT_TRUE(identical(dense(f), first));
  EXPECT_TRUE(identical(dense(monte_carlo_fisher(problem.graph, 3, seeded(9))), first));
  EXPECT_FALSE(identical(dense(monte_carlo_fisher(problem.graph, 3, generator)), first));
}

TEST(MonteCarloFisherTest, StepsRepeatWithTheSeedAndDrawAnew) {
  const auto run = [](uint64_t seed) {
    const auto network = tanh_network();
    NaturalGradient optimizer(network.parameters,
                              NaturalGradientOptions().curvature(MonteCarloFisher(2)).seed(seed));
    for (int i = 0; i < 3; ++i) {
      optimizer.step(F::cross_entropy(network.forward(), torch::tensor({0, 2, 5, 2})));
    }
    return ParameterLayout(network.parameters).values();
  };
  EXPECT_TRUE(identical(run(1), run(1)));
  EXPECT_FALSE(identical(run(1), run(2)));
}

TEST(MonteCarloFisherTest, UnusableSettingsThrow) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  expect_error([&] { monte_carlo_fisher(problem.graph, 0, seeded(1)); }, "at least 1");
  const auto own = make_problem(loss_named("OwnErrorOfCubes"));
  expect_error([&] { monte_carlo_fisher(own.graph, 1, seeded(1)); }, "likelihood");
  const auto network = tanh_network();
  const auto each = F::cross_entropy(network.forward(), torch::tensor({0, 2, 5, 2}),
                                     F::CrossEntropyFuncOptions().reduction(torch::kNone));
  const LossGraph graph((each * torch::tensor({1., -1., 1., 1.}, torch::kDouble)).sum(),
                        network.parameters);
  expect_error([&] { monte_carlo_fisher(graph, 1, seeded(1)); }, "Uniform");
  EXPECT_NO_THROW(monte_carlo_fisher(graph, 1, seeded(1), FisherWeights::Uniform));
}

}  // namespace
}  // namespace natgrad::testing::monte_carlo_fisher_test
