// `maximize`: steps up h are the steps down -h.

#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::maximize_test {
namespace {

using Loss = std::function<Tensor(Training&, int64_t)>;

/// Maximising -h from the same start as minimising h.
void expect_same_bits(const NaturalGradientOptions& options, const Loss& h) {
  Training down(options), up(NaturalGradientOptions(options).maximize(true));
  for (int k = 0; k < 5; ++k) {
    const auto loss = down.optimizer->step(h(down, k));
    const auto objective = up.optimizer->step(-h(up, k));
    ASSERT_EQ(up.summary().outcome, StepOutcome::Accepted) << up.summary().message();
    EXPECT_TRUE(same_bits(up.theta(), down.theta())) << "step " << k;
    EXPECT_TRUE(same_bits(objective, -loss));
    EXPECT_EQ(up.summary().loss, -down.summary().loss);
    EXPECT_EQ(up.summary().lambda, down.summary().lambda);
    EXPECT_EQ(up.summary().gradient_norm, down.summary().gradient_norm);
  }
}

Tensor cross_entropy(Training& training, int64_t k) { return training.loss(k); }

TEST(MaximizeTest, StepsAreThoseOfMinimisingTheNegative) {
  expect_same_bits({}, cross_entropy);
  expect_same_bits(NaturalGradientOptions().curvature(GaussNewton()), cross_entropy);
  expect_same_bits(NaturalGradientOptions().curvature(Fisher()), cross_entropy);
}

TEST(MaximizeTest, WeightDecayStillShrinks) {
  expect_same_bits(NaturalGradientOptions().weight_decay(0.3), cross_entropy);
}

TEST(MaximizeTest, ALossOfTheUsersOwnIsTurnedToo) {
  expect_same_bits(NaturalGradientOptions().damping(Tikhonov(0.1)), [](Training& run, int64_t k) {
    return natgrad::outputs(run.outputs(k)).cosh().log().mean();
  });
}

TEST(MaximizeTest, AStepUpIsTheDenseOne) {
  constexpr double kSolve = 1e-10;  // CG to 1e-14, condition below 1e3
  constexpr double kLambda = 0.1, kDecay = 0.02;
  Training training(NaturalGradientOptions(1)
                        .curvature(FisherOrGaussNewton())
                        .maximize(true)
                        .weight_decay(kDecay)
                        .damping(Tikhonov(kLambda))
                        .solver(tight_solver()));
  const auto log_likelihood = [](const Tensor& z) {  // concave in z
    return z.log_softmax(1).gather(1, Training::labels(0).unsqueeze(1)).mean();
  };
  const auto z = training.outputs(0);
  const auto theta = training.theta();
  const auto h = hessian_of_linearised_model(z, training.parameters(), log_likelihood);
  const auto uphill = gradient_of(log_likelihood(z), training.parameters()) - kDecay * theta;
  const auto identity = torch::eye(theta.numel(), torch::kDouble);
  const auto expected = theta + torch::linalg_solve((kDecay + kLambda) * identity - h, uphill);
  training.optimizer->step(log_likelihood(training.outputs(0)));
  EXPECT_LT(relative_error(training.theta(), expected), kSolve);
}

TEST(MaximizeTest, AnObjectiveThatIsNotFiniteTakesTheStepBack) {
  Training training(NaturalGradientOptions().maximize(true));
  const auto before = training.theta();
  training.optimizer->step(-training.loss(0));
  training.optimizer->step(-training.loss(1) * std::numeric_limits<double>::infinity());
  EXPECT_TRUE(training.summary().restored);
  EXPECT_TRUE(same_bits(training.theta(), before));
}

}  // namespace
}  // namespace natgrad::testing::maximize_test
