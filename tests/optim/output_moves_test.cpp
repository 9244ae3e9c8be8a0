#include "optim/output_moves.h"

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"
#include "support/training.h"

namespace natgrad::testing::output_moves_test {
namespace {

namespace F = torch::nn::functional;

// Differences of losses of order one, in double.
constexpr double kRounding = 1e-10;

/// A network under a loss, a displacement, and what it does to z by the dense Jacobian.
struct Moved {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor v = randn({flat(network.parameters).numel()}, 1);
  Tensor d = jacobian(z, network.parameters).mv(v).view_as(z);

  OutputMove of(const Tensor& loss) const {
    return detail::output_move(LossGraph(loss, network.parameters, Terms::WhenAsked), v);
  }
};

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }

TEST(OutputMovesTest, OfLogitsIsTheirRangeAndTheRiseOfLogLoss) {
  const Moved moved;
  const auto of = [](const Tensor& z) {  // by hand
    return z.exp().sum(1).log() - z.gather(1, labels().unsqueeze(1)).squeeze(1);
  };
  const auto w = torch::tensor({1., 0., 3., 0.5}, torch::kDouble);
  const auto rises = (of(moved.z + moved.d) - of(moved.z)).clamp_min(0);
  const auto loss =
      F::cross_entropy(moved.z, labels(), F::CrossEntropyFuncOptions().reduction(torch::kNone));
  const auto move = moved.of((loss * w).sum());
  const auto range = std::get<0>(moved.d.max(1)) - std::get<0>(moved.d.min(1));
  EXPECT_NEAR(move.reach, range.max().item<double>(), kRounding);
  EXPECT_NEAR(move.rise, ((w * rises).sum() / w.sum()).item<double>(), kRounding);
  EXPECT_GT(move.rise, 0.01);
}

TEST(OutputMovesTest, OfOneOutputAnObservationIsItsSize) {
  const Moved moved;
  const auto y = torch::floor(3 * randn(moved.z.sizes(), 2).exp());
  const auto of = [&](const Tensor& z) { return z.exp() - y * z; };
  const auto move = moved.of(nll(Poisson(moved.z), y));
  const auto rises = (of(moved.z + moved.d) - of(moved.z)).clamp_min(0);
  EXPECT_NEAR(move.reach, moved.d.abs().max().item<double>(), kRounding);
  EXPECT_NEAR(move.rise, rises.mean().item<double>(), kRounding);
}

TEST(OutputMovesTest, OfSeveralTermsIsTheLargestReachAndAllRises) {
  const Moved moved;
  const auto y = torch::floor(3 * randn(moved.z.sizes(), 3).exp());
  const auto counts = nll(Poisson(moved.z), y), classes = F::cross_entropy(moved.z, labels());
  const auto squares = F::mse_loss(moved.z, y);
  const auto a = moved.of(counts), b = moved.of(classes);
  const auto both = moved.of(counts + 2 * classes + squares);
  EXPECT_NEAR(both.reach, std::max(a.reach, b.reach), kRounding);
  EXPECT_NEAR(both.rise, a.rise + b.rise, kRounding);
}

// All of a head's examples may be ignored on a batch.
TEST(OutputMovesTest, ATermWithoutWeightRaisesNothing) {
  const Moved moved;
  const auto classes = F::cross_entropy(moved.z, labels());
  const auto nobody = torch::full({kExamples}, -100, torch::kLong);
  const auto ignored =
      F::cross_entropy(0.5 * moved.z, nobody, F::CrossEntropyFuncOptions().reduction(torch::kSum));
  const auto alone = moved.of(classes), both = moved.of(classes + ignored);
  EXPECT_NEAR(both.rise, alone.rise, kRounding);
  EXPECT_NEAR(both.reach, alone.reach, kRounding);
}

TEST(OutputMovesTest, WhereAMoveHasNoMeasureThereIsNone) {
  const Moved moved;
  for (const auto& loss : {F::mse_loss(moved.z, randn(moved.z.sizes(), 4)),
                           natgrad::outputs(moved.z).cosh().log().mean(),
                           F::cross_entropy(moved.z, labels()).square()}) {  // cannot be read
    const auto move = moved.of(loss);
    EXPECT_EQ(move.reach, 0);
    EXPECT_EQ(move.rise, 0);
  }
}

// ---- Steps of the default on outputs that are saturated and wrong. ----

/// The classifier with `factor` times its upper layer.
void saturate(const Training& training, double factor) {
  const torch::NoGradGuard no_grad;
  training.parameters()[2].mul_(factor);
}

TEST(OutputMovesTest, ASaturatedStartTakesAShorterStepAndSaysSo) {
  constexpr double kSaturated = 20;
  Training training;
  saturate(training, kSaturated);
  const auto J = jacobian(training.outputs(0), training.parameters());
  const auto before = training.theta();
  training.good_step();
  const auto& report = training.summary();
  ASSERT_EQ(report.outcome, StepOutcome::Accepted);
  EXPECT_LT(report.shortening, 1);
  EXPECT_NE(report.message().find("shortened to"), std::string::npos) << report.message();
  // By the largest move: that is a unit now.
  const auto d = J.mv(training.theta() - before).view({12, 4});
  const auto range = std::get<0>(d.max(1)) - std::get<0>(d.min(1));
  EXPECT_NEAR(range.max().item<double>(), 1, 1e-6);
  EXPECT_NEAR(report.step_norm, (training.theta() - before).norm().item<double>(), kRounding);
}

TEST(OutputMovesTest, AnOrdinaryStartIsNotShortened) {
  Training training;
  for (int k = 0; k < 5; ++k) {
    training.good_step();
    EXPECT_EQ(training.summary().shortening, 1);
    EXPECT_EQ(training.summary().message().find("shortened"), std::string::npos);
  }
}

}  // namespace
}  // namespace natgrad::testing::output_moves_test
