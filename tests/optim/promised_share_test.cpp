// Of the bound on M - h (Martens, "New perspectives", section 11) the share that a step promised.
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/curvature/score_rows.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::promised_share_test {
namespace {

// Dense matrices against products and rows.
constexpr double kRounding = 1e-9;

struct PromisedShare : ::testing::Test {
  const std::vector<Tensor> parameters = {parameter({4, 3}, 1), parameter({3, 4}, 2)};
  const Tensor x = randn({10, 3}, 3), other_x = randn({10, 3}, 4);
  const Tensor y = torch::randint(3, {10}, seeded(5), torch::TensorOptions(torch::kLong));

  Tensor logits(const Tensor& inputs) const {
    return torch::linear(torch::linear(inputs, parameters[0]).tanh(), parameters[1]);
  }
  Tensor loss() const { return torch::cross_entropy_loss(logits(x), y); }
  Tensor theta() const { return flat(parameters).detach().clone(); }
  /// -½ mean (1 - p_y)/p_y.
  double bound_by_hand() const {
    const auto p = logits(x).detach().softmax(1).gather(1, y.unsqueeze(1));
    return -0.5 * ((1 - p) / p).mean().item<double>();
  }

  static NaturalGradientOptions exact(double rate, double lambda) {
    return NaturalGradientOptions(rate)
        .damping(Tikhonov(lambda))
        .solver(tight_solver())
        .curvature(Fisher())
        .measure(true);
  }
  StepSummary step(const NaturalGradientOptions& options) const {
    NaturalGradient optimizer(parameters, options);
    optimizer.step(loss());
    return optimizer.summary();
  }
};

TEST_F(PromisedShare, IsOfTheModelAtTheStepThatWasTaken) {
  const auto h = loss();
  const auto g = gradient_of(h, parameters);
  const auto C = dense(fisher(LossGraph(h, parameters)));
  const double bound = bound_by_hand();
  const auto before = theta();
  const auto summary = step(exact(0.5, 0.1));
  const auto d = theta() - before;
  const double promise = (g.dot(d) + 0.5 * d.dot(C.mv(d))).item<double>();
  ASSERT_TRUE(summary.bound_share);
  EXPECT_NEAR(*summary.bound_share / (promise / bound), 1, kRounding);
  EXPECT_GT(*summary.bound_share, 0.01);
  EXPECT_NE(summary.message().find(" of the bound promised"), std::string::npos)
      << summary.message();
}

TEST_F(PromisedShare, IsAllWhereExamplesHaveParametersOfTheirOwn) {
  const auto z = parameter({6, 3}, 6);
  NaturalGradient optimizer({z}, exact(1, 0));
  optimizer.step(nll(Categorical(z), y.narrow(0, 0, 6)));
  EXPECT_NEAR(*optimizer.summary().bound_share, 1, 1e-6);
}

TEST_F(PromisedShare, OfTheDefaultIsThatOfItsRows) {
  const auto h = loss();
  const auto g = gradient_of(h, parameters);
  const auto Q = dense(score_rows(LossGraph(h, parameters)));
  const double bound = bound_by_hand();
  const auto before = theta();
  const auto summary = step(NaturalGradientOptions().measure(true));
  const auto d = theta() - before;
  const double promise = (g.dot(d) + 0.5 * d.dot(Q.mv(d))).item<double>();
  EXPECT_NEAR(*summary.bound_share / (promise / bound), 1, kRounding);
  // Of a clipped gradient M is still that of ∇h.
  parameters[0].data().copy_(before.narrow(0, 0, 12).view({4, 3}));
  parameters[1].data().copy_(before.narrow(0, 12, 12).view({3, 4}));
  const auto clipped = step(NaturalGradientOptions().measure(true).max_gradient_norm(1e-2));
  const auto shorter = theta() - before;
  const double of_it = (g.dot(shorter) + 0.5 * shorter.dot(Q.mv(shorter))).item<double>();
  EXPECT_LT(clipped.gradient_share, 1);
  EXPECT_NEAR(*clipped.bound_share / (of_it / bound), 1, kRounding);
}

TEST_F(PromisedShare, ExceedsOneWhereTheMatrixIsTooSmall) {
  const Metric wrong("F/50", [](const LossGraph& graph) { return 0.02 * fisher(graph); });
  EXPECT_GT(*step(exact(1, 1e-6).curvature(wrong)).bound_share, 1);
}

TEST_F(PromisedShare, ExceedsOneWithTheCurvatureOfOtherExamples) {
  NaturalGradient optimizer(parameters, exact(1, 1e-8));
  Batches batches;
  batches.gradient = Batch([&] { return loss(); });
  batches.curvature = Batch([&] { return torch::cross_entropy_loss(logits(other_x), y); });
  optimizer.step(batches);
  EXPECT_GT(*optimizer.summary().bound_share, 1);
}

TEST_F(PromisedShare, IsToldOnlyWhereItIsAskedForAndThereIsABound) {
  const auto options = exact(0.1, 0.1);
  EXPECT_FALSE(step(NaturalGradientOptions(options).measure(false)).bound_share);
  EXPECT_FALSE(step(NaturalGradientOptions(options).weight_decay(0.1)).bound_share);
  NaturalGradient optimizer(parameters, options);
  optimizer.step(loss() + parameters[0].square().sum());
  EXPECT_FALSE(optimizer.summary().bound_share) << "with a penalty";
  optimizer.step(2, [&](int64_t) { return loss(); });
  EXPECT_FALSE(optimizer.summary().bound_share) << "in chunks";
  NaturalGradient own(parameters, NaturalGradientOptions().measure(true));
  own.step(outputs(logits(x)).cosh().mean());
  EXPECT_EQ(own.summary().outcome, StepOutcome::Accepted);
  EXPECT_FALSE(own.summary().bound_share) << "of a loss of one's own";
  EXPECT_EQ(own.summary().message().find("bound"), std::string::npos);
}

TEST_F(PromisedShare, ChangesNoStep) {
  const auto run = [&](bool measure) {
    const auto before = theta();
    NaturalGradient optimizer(parameters, NaturalGradientOptions().measure(measure));
    for (int k = 0; k < 3; ++k) optimizer.step(loss());
    const auto after = theta();
    parameters[0].data().copy_(before.narrow(0, 0, 12).view({4, 3}));
    parameters[1].data().copy_(before.narrow(0, 12, 12).view({3, 4}));
    return after;
  };
  EXPECT_TRUE(identical(run(true), run(false)));
}

}  // namespace
}  // namespace natgrad::testing::promised_share_test
