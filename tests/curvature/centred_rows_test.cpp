#include <natgrad/curvature/centred_rows.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/networks.h"

// R against the Jacobian row by row, centred, and against the Fisher matrix of a distribution that
// can be summed over.

namespace natgrad::testing::centred_rows_test {
namespace {

namespace F = torch::nn::functional;

// Sums in double, in another order.
constexpr double kRounding = 1e-12;

Tensor rows_of(const CurvatureAt& at) { return at.matrix.root_form()->root->matrix(); }

/// Of a 4-5-1 network with tanh.
struct Samples {
  std::vector<Tensor> parameters = {parameter({5, 4}, 1), parameter({5}, 2), parameter({1, 5}, 3)};
  Tensor x = randn({12, 4}, 4);

  /// [N, 1].
  Tensor z() const {
    return F::linear(F::linear(x, parameters[0], parameters[1]).tanh(), parameters[2]);
  }
};

Tensor centred(const Tensor& w) { return w - w.mean(); }

TEST(CentredRowsTest, AreTheCentredJacobianAndTellTheGradient) {
  const Samples samples;
  const auto w = centred(randn({12}, 5));
  for (const bool is_column : {false, true}) {
    const auto z = is_column ? samples.z() : samples.z().squeeze(1);
    const auto marked = natgrad::outputs(z);
    const LossGraph graph((w * marked.reshape(-1)).sum(), samples.parameters);
    const auto at = CentredRows().at(graph);
    EXPECT_EQ(at.choice, "12 centred rows by layers");
    const auto J = jacobian(samples.z().reshape(-1), samples.parameters);
    EXPECT_LT(relative_error(rows_of(at), (J - J.mean(0)) / std::sqrt(12.)), kRounding);
    ASSERT_TRUE(at.targets.defined());
    EXPECT_LT(relative_error(-rows_of(at).t().mv(at.targets), graph.gradient()), kRounding);
    EXPECT_LT(relative_error(dense(at.matrix), rows_of(at).t().mm(rows_of(at))), kRounding);
  }
}

TEST(CentredRowsTest, OfWeightsThatAreNotCentredTellNoGradient) {
  const Samples samples;
  const auto w = centred(randn({12}, 5)) + 0.01;
  const LossGraph graph((w * natgrad::outputs(samples.z()).squeeze(1)).sum(), samples.parameters);
  EXPECT_FALSE(CentredRows().at(graph).targets.defined());
}

TEST(CentredRowsTest, OfTheOutputsOfASquaredErrorAreTheSame) {
  const Samples samples;
  const LossGraph graph(F::mse_loss(samples.z(), randn({12, 1}, 6)), samples.parameters);
  const auto J = jacobian(samples.z().reshape(-1), samples.parameters);
  const auto R = rows_of(CentredRows().at(graph));
  EXPECT_LT(relative_error(R, (J - J.mean(0)) / std::sqrt(12.)), kRounding);
}

// An energy-based model p ∝ exp(z) over eight states, whose samples come in their exact numbers:
// C is the Fisher matrix of the softmax over all states.
TEST(CentredRowsTest, OfSamplesFromAnUnnormalisedDensityAreItsFisherMatrix) {
  const std::vector<int64_t> counts{1, 2, 3, 4, 5, 6, 1, 2};
  const auto n = torch::tensor(counts), states = torch::arange(8).repeat_interleave(n);
  auto theta = randn({3}, 1).requires_grad_();
  const auto features = randn({8, 3}, 2);
  // exp(z) is proportional to the counts at this θ: an offset without parameters makes it so.
  const auto offset = n.to(torch::kDouble).log() - features.mv(theta.detach()).tanh();
  const auto z = features.mv(theta).tanh() + offset;
  const auto w = centred(randn({24}, 3));
  const LossGraph of_samples((w * natgrad::outputs(z.index_select(0, states))).mean(), {theta});
  const LossGraph of_softmax(F::cross_entropy(z.unsqueeze(0), torch::tensor({0})), {theta});
  EXPECT_LT(relative_error(dense(CentredRows().at(of_samples).matrix), dense(fisher(of_softmax))),
            kRounding);
}

TEST(CentredRowsTest, WhatIsNotOneNumberASampleThrows) {
  const Samples samples;
  const auto at = [&](const Tensor& loss) {
    return CentredRows().at(LossGraph(loss, samples.parameters));
  };
  const auto two = torch::cat({samples.z(), samples.z()}, 1);
  expect_error([&] { at(natgrad::outputs(two).sum()); }, "one number a sample");
  const auto one = natgrad::outputs(samples.z()), other = natgrad::outputs(2 * samples.z());
  expect_error([&] { at(one.square().sum() + other.square().sum()); }, "2 outputs");
  expect_error([&] { at(natgrad::outputs(samples.z().sum())); }, "one number a sample");
}

}  // namespace
}  // namespace natgrad::testing::centred_rows_test
