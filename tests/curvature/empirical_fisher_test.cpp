#include <natgrad/curvature/empirical_fisher.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/tonga.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>

#include "support/curvature_cases.h"
#include "support/dense_oracles.h"
#include "support/example_gradients.h"

namespace natgrad::testing::empirical_fisher_test {
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
  const auto plain = make_problem(loss_named("CrossEntropyMean"));
  const auto expected = dense(empirical_fisher(plain.graph));
  // The same examples, whatever they weigh in the loss.
  for (const auto* name : {"CrossEntropyMean", "CrossEntropySum", "CrossEntropyWeightedExamples"}) {
    const auto graph = make_problem(loss_named(name)).graph;
    const auto matrix = dense(empirical_fisher(graph, Moment::Uncentred, FisherWeights::Uniform));
    EXPECT_LT(relative_error(matrix, expected), kRounding) << name;
    const auto rows = empirical_fisher_rows(graph, Moment::Uncentred, FisherWeights::Uniform);
    EXPECT_LT(relative_error(rows.t().mm(rows), expected), kRounding) << name;
  }
}

// Positions that no label has count in no mean.
TEST(EmpiricalFisherTest, PaddingChangesNothing) {
  const auto w = randn({4, 3}, 2601).requires_grad_();
  const auto x = randn({3, 2, 3}, 2602);
  const auto y = torch::tensor({{0, 2}, {1, -100}, {3, 3}});
  const auto matrices = [&](int64_t padding) {
    const auto inputs = torch::cat({x, randn({3, padding, 3}, 2603)}, 1);
    const auto labels = torch::cat({y, torch::full({3, padding}, -100)}, 1);
    const auto loss = F::cross_entropy(inputs.matmul(w.t()).transpose(1, 2), labels);
    const LossGraph graph(loss, {w});
    return torch::stack({dense(empirical_fisher(graph)),
                         dense(empirical_fisher(graph, Moment::Centred)), dense(fisher(graph))});
  };
  for (const int64_t padding : {2, 6}) {
    EXPECT_LT(relative_error(matrices(padding), matrices(0)), kRounding);
  }
}

// A spread of the gradients far below their mean, in float32: a difference of matrices would lose
// it, and be indefinite.
TEST(EmpiricalFisherTest, CentredKeepsASmallSpread) {
  const auto x = 1 + 1e-3 * randn({16, 3}, 2611), y = torch::full({16, 1}, 5., torch::kDouble);
  const auto at = [&](torch::ScalarType dtype) {
    const auto w = torch::ones({3, 1}, dtype).requires_grad_();
    const LossGraph graph(F::mse_loss(x.to(dtype).mm(w), y.to(dtype)), {w});
    return dense(empirical_fisher(graph, Moment::Centred));
  };
  const auto expected = at(torch::kDouble), narrow = at(torch::kFloat);
  EXPECT_LT(relative_error(narrow, expected), 1e-3);  // float32's rounding over the spread
}

TEST(EmpiricalFisherTest, WithoutAnyWeightIsZero) {
  const auto network = tanh_network();
  const auto each = F::cross_entropy(network.forward(), labels(),
                                     F::CrossEntropyFuncOptions().reduction(torch::kNone));
  const LossGraph graph((each * torch::zeros({4}, torch::kDouble)).sum(), network.parameters);
  for (const auto moment : {Moment::Uncentred, Moment::Centred}) {
    EXPECT_EQ(dense(empirical_fisher(graph, moment)).abs().max().item<double>(), 0);
    EXPECT_EQ(empirical_fisher_rows(graph, moment).abs().max().item<double>(), 0);
  }
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
  const double noise = EmpiricalFisher().at(graph).noise(seeded(2)).item<double>();
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
  EXPECT_EQ(EmpiricalFisher().describe(), "EmpiricalFisher(weights=OfTheLoss)");
  EXPECT_EQ(EmpiricalFisher().moment(Moment::Centred).weights(FisherWeights::Uniform).describe(),
            "EmpiricalFisher(centred, weights=Uniform)");
  EXPECT_EQ(Tonga().describe(), "Tonga(rank=0)");
  EXPECT_EQ(Tonga().rank(3).moment(Moment::Centred).weights(FisherWeights::Uniform).describe(),
            "Tonga(centred, rank=3, weights=Uniform)");
}

}  // namespace
}  // namespace natgrad::testing::empirical_fisher_test
