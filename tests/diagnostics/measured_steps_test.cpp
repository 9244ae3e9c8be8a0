#include <natgrad/diagnostics/kl_moved.h>
#include <natgrad/step_control/kl_constrained.h>

#include "diagnostics/wrong_metrics.h"
#include "theory/small_network.h"

// How far steps move the model's distribution, as their summary tells it.

namespace natgrad::testing::measured_steps_test {
namespace {

namespace F = torch::nn::functional;

// The plain sum of p (log p - log p'), of order 1e-2, in double.
constexpr double kRounding = 1e-10;

Tensor divergence_of_classes(const Tensor& z, const Tensor& moved) {
  const auto p = z.log_softmax(1), q = moved.log_softmax(1);
  return (p.exp() * (p - q)).sum(1).mean();
}

NaturalGradientOptions measuring() { return NaturalGradientOptions().measure(true); }

/// KL(p(θ) ‖ p(θ + δ)) of a training's last step on that batch, plainly.
struct MeasuredStep {
  Training training;
  Tensor before;

  explicit MeasuredStep(const NaturalGradientOptions& options) : training(options) {
    for (int k = 0; k < 3; ++k) training.good_step();
    before = training.outputs(3).detach();
  }
  double plain() { return number(divergence_of_classes(before, training.outputs(3).detach())); }
};

TEST(MeasuredStepsTest, WithAClosureTellTheDivergenceItself) {
  MeasuredStep step(measuring());
  step.training.good_step();
  const auto& summary = step.training.summary();
  ASSERT_TRUE(summary.nats);
  EXPECT_NEAR(*summary.nats / step.plain(), 1, kRounding);
  EXPECT_EQ(summary.nats_basis, "after the step");
  EXPECT_NE(summary.message().find(" nats (after the step)"), std::string::npos);
}

TEST(MeasuredStepsTest, WithTheLossAloneTellHalfTheFisherMetric) {
  MeasuredStep step(measuring());
  auto& training = step.training;
  const auto theta = training.theta();
  const auto fisher = fisher_of(training.loss(3), training.parameters());
  training.optimizer->step(training.loss(3));
  const auto delta = training.theta() - theta;
  const auto& summary = training.summary();
  ASSERT_TRUE(summary.nats);
  EXPECT_NEAR(*summary.nats / (0.5 * number(delta.dot(fisher.mv(delta)))), 1, kRounding);
  EXPECT_EQ(summary.nats_basis, "to second order");
  EXPECT_NEAR(*summary.nats / step.plain(), 1, 0.3);  // which it is not
}

TEST(MeasuredStepsTest, DoNotDependOnTheLosssFactor) {
  const auto nats = [](double factor) {
    Training training(measuring());
    training.optimizer->step([&] { return factor * training.loss(0); });
    return training.summary().nats.value();
  };
  EXPECT_NEAR(nats(100) / nats(1), 1, 1e-6);  // the step is the same to rounding
}

TEST(MeasuredStepsTest, OfChunksTellTheMean) {
  MeasuredStep step(measuring());
  auto& training = step.training;
  const auto others = training.outputs(4).detach();
  training.optimizer->step(2, [&](int64_t k) { return training.loss(3 + k); });
  const double other = number(divergence_of_classes(others, training.outputs(4).detach()));
  EXPECT_NEAR(*training.summary().nats / (0.5 * (step.plain() + other)), 1, kRounding);
}

// Dropout's mask and the statistics of batch normalisation are those of the step.
TEST(MeasuredStepsTest, AreTheSameSteps) {
  const auto run = [](bool measure) {
    torch::manual_seed(5);
    auto model = classifier(/*noisy=*/true);
    NaturalGradient optimizer(model->parameters(),
                              NaturalGradientOptions().measure(measure).module(model.ptr()));
    for (int64_t k = 0; k < 3; ++k) {
      optimizer.step([&] {
        return F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k));
      });
      EXPECT_EQ(optimizer.summary().nats.has_value(), measure);
      EXPECT_LT(optimizer.summary().nats.value_or(0), 10);
    }
    auto state = flat(model->parameters()).detach();
    return torch::cat(
        {state, flat(model->buffers()).to(state.dtype()), torch::rand({2}, torch::kDouble)});
  };
  EXPECT_TRUE(identical(run(true), run(false)));
}

TEST(MeasuredStepsTest, AreNotMeasuredUnlessAsked) {
  Training training;
  training.good_step();
  EXPECT_FALSE(training.summary().nats);
  EXPECT_EQ(training.summary().nats_basis, "");
  EXPECT_EQ(training.summary().message().find("nats"), std::string::npos);
}

TEST(MeasuredStepsTest, SayWhyNothingIsKnown) {
  const SmallNetwork network(841, 6, 2);
  NaturalGradient optimizer(network.parameters, measuring());
  optimizer.step([&] { return (outputs(network.forward()) - network.targets).pow(4).mean(); });
  EXPECT_FALSE(optimizer.summary().nats);
  EXPECT_NE(optimizer.summary().message().find("no nats (the outputs have no known distribution)"),
            std::string::npos)
      << optimizer.summary().message();
}

/// A unit-variance Gaussian that does not say its divergence.
struct SilentGaussian final : Likelihood {
  explicit SilentGaussian(const Tensor& z) : Likelihood(z) {}
  std::string describe() const override { return "SilentGaussian()"; }
  Tensor fisher_multiply(const Tensor& v) const override { return v.clone(); }
  Tensor factor_multiply(const Tensor& r) const override { return r.clone(); }
  Tensor fisher_solve(const Tensor& v) const override { return v.clone(); }
  Tensor sample(std::optional<at::Generator>) const override { return outputs().detach(); }
  bool hessian_is_fisher() const override { return true; }
  void check_targets(const Tensor& y) const override { check_same_shape(y); }
  Tensor compute_log_prob(const Tensor& y) const override {
    return -0.5 * (y - outputs()).square();
  }
  Tensor compute_score(const Tensor& y) const override { return y - outputs(); }
};

TEST(MeasuredStepsTest, OfAFamilyThatDoesNotSayAreKnownToSecondOrder) {
  const SmallNetwork network(842, 6, 1);
  NaturalGradient optimizer(network.parameters, measuring());
  const auto z = network.forward().detach();
  optimizer.step([&] { return nll(SilentGaussian(network.forward()), network.targets); });
  const auto& summary = optimizer.summary();
  EXPECT_EQ(summary.nats_basis, "to second order");
  const double plain = number(0.5 * (network.forward().detach() - z).square().sum(1).mean());
  EXPECT_NEAR(summary.nats.value() / plain, 1, 0.3);
}

// ---- KLConstrained(c): ½ δᵀCδ = c, and the divergence itself c + O(c^{3/2}). ----

/// KL/c of one step of a trained network.
double share_of_asked(double c, const Curvature& curvature) {
  Training training;
  for (int k = 0; k < 8; ++k) training.good_step();
  const auto options = NaturalGradientOptions(1)
                           .curvature(curvature)
                           .damping(Tikhonov(0))
                           .solver(tight_solver())
                           .step_rule(KLConstrained(c))
                           .measure(true);
  NaturalGradient optimizer(training.parameters(), options);
  std::vector<Tensor> x, y;
  for (int64_t k = 0; k < 8; ++k) {
    x.push_back(Training::inputs(k));
    y.push_back(Training::labels(k));
  }
  const auto inputs = torch::cat(x), labels = torch::cat(y);
  optimizer.step([&] { return F::cross_entropy(training.model->forward(inputs), labels); });
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
  return optimizer.summary().nats.value() / c;
}

TEST(MeasuredStepsTest, OfGivenDivergenceKeepToItAsItFalls) {
  const auto excess = [](double c) { return share_of_asked(c, Fisher()) - 1; };
  const double coarse = excess(1e-8), fine = excess(1e-10);
  EXPECT_LT(std::abs(fine), 1e-2);
  EXPECT_NEAR(std::log10(coarse / fine), 1, 0.1);  // O(√c)
  // At a c that people take, along directions that F barely knows, it is not c at all.
  EXPECT_GT(excess(1e-2), 1);
}

TEST(MeasuredStepsTest, OfAWrongMetricDoNot) {
  for (const auto& wrong : wrong_metrics()) {
    if (wrong.describe() == "negated") continue;  // no step at all
    EXPECT_GT(std::abs(share_of_asked(1e-10, wrong) - 1), 1e-2) << wrong.describe();
  }
}

}  // namespace
}  // namespace natgrad::testing::measured_steps_test
