#include <natgrad/graph/marks.h>
#include "graph/backward.h"
#include "graph/mark_nodes.h"
#include "graph/second_derivative.h"

#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>
#include <torch/csrc/autograd/variable.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::marks_test {
namespace {

namespace F = torch::nn::functional;

constexpr double kRounding = 1e-13;  // a few dozen terms of a sum

struct Marks : ::testing::Test {
  Tensor z = parameter({kExamples, kOutputs}, 1001);
  Tensor y = torch::tensor({0, 2, 5, 2});
};

TEST_F(Marks, OutputsIsTheIdentity) {
  const auto marked = outputs(z);
  EXPECT_TRUE(identical(marked, z));
  EXPECT_TRUE(marked.is_alias_of(z));
  EXPECT_EQ(marked.grad_fn()->name(), "natgrad::outputs");
}

TEST_F(Marks, GradientsPassOutputsUnchanged) {
  const auto loss = [](const Tensor& t) { return (t.exp() * t).sum(); };
  EXPECT_TRUE(identical(gradient_of(loss(outputs(z)), {z}), gradient_of(loss(z), {z})));
}

TEST_F(Marks, SecondDerivativesPassOutputsUnchanged) {
  const auto loss = [](const Tensor& t) { return t.logsumexp({0, 1}).pow(2); };
  EXPECT_TRUE(identical(hessian(loss(outputs(z)), {z}), hessian(loss(z), {z})));
}

TEST_F(Marks, OutputsWithoutAGraphIsLeftAlone) {
  const auto constant = z.detach();
  EXPECT_TRUE(outputs(constant).is_same(constant));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(outputs(z).is_same(z));
}

TEST_F(Marks, OnlyARunThatHoldsTheMarksEndsAtThem) {
  const auto marked = outputs(z);
  const auto loss = marked.pow(2).sum();
  const auto edge_of = [](const Tensor& t) { return torch::autograd::impl::gradient_edge(t); };
  const auto arriving = [&](detail::Marks marks) {
    return detail::backward({edge_of(loss)}, {torch::ones_like(loss)},
                            {edge_of(marked), edge_of(z)}, Pass::Plain, marks);
  };
  const auto held = arriving(detail::Marks::Hold), passed = arriving(detail::Marks::Pass);
  EXPECT_TRUE(identical(held[0], passed[0]));
  EXPECT_FALSE(held[1].defined());
  EXPECT_TRUE(identical(passed[1], passed[0]));
  EXPECT_LT(relative_error(gradient_of(loss, {z}), 2 * z.view(-1)), kRounding);
}

TEST_F(Marks, NllOfCategoricalIsCrossEntropy) {
  const auto ce = [&](auto reduction) {
    return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().reduction(reduction));
  };
  const Categorical family(z);
  EXPECT_LT(relative_error(nll(family, y), ce(torch::kMean)), kRounding);
  EXPECT_LT(relative_error(nll(family, y, at::Reduction::Sum), ce(torch::kSum)), kRounding);
  EXPECT_LT(relative_error(nll(family, y, at::Reduction::None), ce(torch::kNone)), kRounding);
}

TEST_F(Marks, MeanSumsOverAnExamplesOutputs) {
  const auto target = randn({kExamples, kOutputs}, 1002);
  const auto sum = nll(Gaussian(z, 0.3), target, at::Reduction::Sum);
  EXPECT_LT(relative_error(nll(Gaussian(z, 0.3), target), sum / double(kExamples)), kRounding);
}

TEST_F(Marks, NoneGivesOneNumberPerObservation) {
  const auto binary = torch::ones({kExamples, kOutputs}, torch::kDouble);
  EXPECT_EQ(nll(Bernoulli(z), binary, at::Reduction::None).sizes(), z.sizes());
  EXPECT_EQ(nll(Categorical(z), y, at::Reduction::None).sizes(), y.sizes());
}

TEST_F(Marks, NllKeepsTheFamilyAndTheEdgeOfItsOutputs) {
  const auto loss = nll(Categorical(z), y, at::Reduction::None);
  const auto* node = dynamic_cast<NegativeLogLikelihoodNode*>(loss.grad_fn().get());
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->likelihood->describe(), Categorical(z).describe());
  EXPECT_EQ(node->outputs, torch::autograd::impl::gradient_edge(z));
}

TEST_F(Marks, NllOfASharedLikelihoodIsTheSame) {
  const auto shared = std::make_shared<const Categorical>(z);
  EXPECT_TRUE(identical(nll(shared, y), nll(Categorical(z), y)));
}

TEST_F(Marks, GradientsOfNllAreTheFamilys) {
  const auto expected = gradient_of(F::cross_entropy(z, y), {z});
  EXPECT_LT(relative_error(gradient_of(nll(Categorical(z), y), {z}), expected), kRounding);
}

TEST_F(Marks, NllWithoutAGraphIsANumber) {
  const auto loss = nll(Categorical(z.detach()), y);
  EXPECT_FALSE(loss.requires_grad());
  EXPECT_LT(relative_error(loss, F::cross_entropy(z, y)), kRounding);
}

TEST_F(Marks, NllChecksItsTargets) {
  expect_error([&] { nll(Categorical(z), torch::tensor({0, 2, 6, 2})); }, "y[2] = 6");
  expect_error([&] { nll(Gaussian(z), randn({kExamples}, 1)); }, "[4]");
}

TEST_F(Marks, NllOfNothingThrows) {
  expect_error([&] { nll(std::shared_ptr<const Likelihood>(), y); }, "null");
}

}  // namespace
}  // namespace natgrad::testing::marks_test
