#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/tonga.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/example_gradients.h"

namespace natgrad::testing {
namespace {

namespace F = torch::nn::functional;

// Theory's bar for a matrix in double.
constexpr double kRounding = 1e-10;
// Below this share of the largest, an eigenvalue in double is zero.
constexpr double kZeroEigenvalue = 1e-12;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }

/// P x P numbers of rank one, of the mean gradient Σ sᵢgᵢ/√Σs.
Tensor mean_part(const Tensor& gradients, const Tensor& weights) {
  const auto sum = gradients.sum(0);
  return sum.outer(sum) / weights.sum();
}

struct EmpiricalFisherMatrix : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);
  Tensor gradients = example_gradients(problem);
  Tensor weights = example_weights(problem.loss_case);
  Tensor expected = empirical_fisher_matrix(gradients, weights);
};

TEST_P(EmpiricalFisherMatrix, IsTheSumOfOuterProductsOfTheExamplesGradients) {
  EXPECT_LT(relative_error(dense(empirical_fisher(problem.graph)), expected), kRounding);
}

TEST_P(EmpiricalFisherMatrix, CentredIsTheCovariance) {
  const auto centred = dense(empirical_fisher(problem.graph, Moment::Centred));
  EXPECT_LT(relative_error(centred, expected - mean_part(gradients, weights)), kRounding);
}

TEST_P(EmpiricalFisherMatrix, IsTheProductOfItsRows) {
  for (const auto moment : {Moment::Uncentred, Moment::Centred}) {
    const auto rows = empirical_fisher_rows(problem.graph, moment);
    EXPECT_EQ(rows.sizes(), torch::IntArrayRef({kExamples, problem.size()}));
    const auto matrix = dense(empirical_fisher(problem.graph, moment));
    EXPECT_LT(relative_error(rows.t().mm(rows), matrix), kRounding);
  }
}

TEST_P(EmpiricalFisherMatrix, HasAtMostAsManyDirectionsAsExamples) {
  const auto eigenvalues = torch::linalg_eigvalsh(dense(empirical_fisher(problem.graph)));
  const auto largest = eigenvalues.max().item<double>();
  EXPECT_GE(eigenvalues.min().item<double>(), -kZeroEigenvalue * largest);
  EXPECT_LE(eigenvalues.gt(kZeroEigenvalue * largest).sum().item<int64_t>(), kExamples);
}

/// Batch normalisation couples the examples: see below.
std::vector<CurvatureCase> cases_of_single_examples() {
  std::vector<CurvatureCase> chosen;
  for (const auto& c : curvature_cases(losses_of_examples())) {
    if (c.network.name != "BatchNormInTraining") chosen.push_back(c);
  }
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Cases, EmpiricalFisherMatrix,
                         ::testing::ValuesIn(cases_of_single_examples()), ByName());

TEST(EmpiricalFisherTest, UniformWeightsCountEachExampleAsOneOverN) {
  const auto problem = make_problem(loss_named("CrossEntropyWeightedExamples"));
  const auto uniform = torch::full({kExamples}, 1. / kExamples, torch::kDouble);
  const auto expected = empirical_fisher_matrix(example_gradients(problem), uniform);
  const auto matrix =
      dense(empirical_fisher(problem.graph, Moment::Uncentred, FisherWeights::Uniform));
  EXPECT_LT(relative_error(matrix, expected), kRounding);
  EXPECT_GT(relative_error(dense(empirical_fisher(problem.graph)), expected), 0.1);
}

TEST(EmpiricalFisherTest, IsNotTheFisherMatrix) {
  const auto problem = make_problem(loss_named("CrossEntropyMean"));
  EXPECT_GT(relative_error(dense(empirical_fisher(problem.graph)), dense(fisher(problem.graph))),
            0.1);
}

// A focal loss is no likelihood term, and nothing marks its outputs: the layers tell the gradients.
TEST(EmpiricalFisherTest, TakesALossThatCannotBeRead) {
  const auto network = tanh_network();
  const auto focal = [](const Tensor& ce) { return (1 - (-ce).exp()).pow(2) * ce; };
  const auto each = focal(F::cross_entropy(network.forward(), labels(),
                                           F::CrossEntropyFuncOptions().reduction(torch::kNone)));
  const LossGraph graph(each.mean(), network.parameters, seeded(1), Terms::WhenAsked);
  ASSERT_FALSE(graph.is_readable());
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < kExamples; ++i) {
    rows.push_back(gradient_of(each[i] / double(kExamples), network.parameters));
  }
  const auto uniform = torch::full({kExamples}, 1. / kExamples, torch::kDouble);
  const auto expected = empirical_fisher_matrix(torch::stack(rows), uniform);
  EXPECT_LT(relative_error(dense(empirical_fisher(graph)), expected), kRounding);
  const double noise = EmpiricalFisher().noise(graph, seeded(2)).item<double>();
  EXPECT_NEAR(noise, expected.trace().item<double>() / kExamples, kRounding * noise);
}

TEST(EmpiricalFisherTest, NegativeWeightsThrowAndSayWhatToUse) {
  const auto network = tanh_network();
  const auto each = F::cross_entropy(network.forward(), labels(),
                                     F::CrossEntropyFuncOptions().reduction(torch::kNone));
  const auto advantages = torch::tensor({1., -2., 0.5, 1.}, torch::kDouble);
  const LossGraph graph((each * advantages).mean(), network.parameters);
  expect_error([&] { empirical_fisher(graph); }, "Uniform");
  EXPECT_NO_THROW(empirical_fisher(graph, Moment::Uncentred, FisherWeights::Uniform));
}

TEST(EmpiricalFisherTest, BatchNormInTrainingModeIsRefusedWithTheReason) {
  torch::manual_seed(1);
  torch::nn::Sequential model(torch::nn::Linear(3, 5), torch::nn::BatchNorm1d(5),
                              torch::nn::Linear(5, 6));
  model->to(torch::kDouble);
  const auto loss = F::cross_entropy(model->forward(randn({4, 3}, 5)), labels());
  const LossGraph graph(loss, model->parameters());
  expect_error([&] { empirical_fisher(graph); }, "BatchNorm");
  expect_error([&] { empirical_fisher_rows(graph); }, "BatchNorm");
}

TEST(EmpiricalFisherTest, TextTellsTheSettings) {
  EXPECT_EQ(EmpiricalFisher().describe(), "EmpiricalFisher()");
  EXPECT_NE(EmpiricalFisher().moment(Moment::Centred).describe(), EmpiricalFisher().describe());
  EXPECT_NE(EmpiricalFisher().weights(FisherWeights::Uniform).describe(),
            EmpiricalFisher().describe());
  EXPECT_NE(Tonga().rank(3).describe(), Tonga().describe());
  EXPECT_NE(Tonga().moment(Moment::Centred).describe(), Tonga().describe());
}

}  // namespace
}  // namespace natgrad::testing
