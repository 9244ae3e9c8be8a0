// docs/faults.md, rows 19 to 32: the loss's graph.

#include <natgrad/curvature/fisher_or_gauss_newton.h>

#include "support/dense_oracles.h"
#include "support/opaque_ops.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_graph_test {
namespace {

namespace F = torch::nn::functional;

Tensor loss_of(const Tensor& z) { return F::cross_entropy(z, Training::labels(94)); }

// ---- Row 19. ----

TEST(FaultsGraph, Row19UnusedParameterIsUntouched) {
  auto model = classifier();
  auto parameters = model->parameters();
  const auto unused = randn({3, 2}, 1).requires_grad_();
  const auto before = unused.detach().clone();
  parameters.insert(parameters.begin() + 1, unused);
  NaturalGradient with(parameters);
  for (int k = 0; k < 3; ++k)
    with.step(F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k)));
  EXPECT_EQ(with.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(unused, before));
}

TEST(FaultsGraph, Row19UnusedParameterDoesNotChangeTheOthersSteps) {
  // A fixed λ and a tight solver: the random probes of the noise differ with the layout.
  constexpr double kRounding = 1e-10;
  const auto options =
      NaturalGradientOptions().damping(Proximal().fixed_lambda(0.1)).solver(tight_solver());
  Training without(options);
  auto model = classifier();
  auto parameters = model->parameters();
  parameters.push_back(randn({3, 2}, 1).requires_grad_());
  NaturalGradient with(parameters, options);
  for (int k = 0; k < 3; ++k) {
    without.good_step();
    with.step(F::cross_entropy(model->forward(Training::inputs(k)), Training::labels(k)));
  }
  EXPECT_LT(relative_error(flat(model->parameters()), without.theta()), kRounding);
}

// ---- Row 20. ----

TEST(FaultsGraph, Row20UndefinedGradIsFineAndStaysUndefined) {
  Training training;
  training.good_step();
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  for (const auto& p : training.parameters()) EXPECT_FALSE(p.grad().defined());
}

TEST(FaultsGraph, Row20HookOnAParameterThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        auto parameter = training.parameters()[0];
        const auto handle =
            parameter.register_hook([](Tensor gradient) { return gradient.clamp(-1, 1); });
        try {
          training.optimizer->step(training.loss(94));
        } catch (...) {
          parameter.remove_hook(handle);
          throw;
        }
      },
      "hook");
}

TEST(FaultsGraph, Row20HookOnAnIntermediateTensorThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        const auto z = training.outputs(94);
        z.register_hook([](Tensor gradient) { return 2 * gradient; });
        training.optimizer->step(loss_of(z.tanh()));
      },
      "hook");
}

TEST(FaultsGraph, Row20RetainedGradOfTheOutputsIsTheUsers) {
  Training training;
  const auto z = training.outputs(94);
  z.retain_grad();
  training.optimizer->step(loss_of(z));
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_FALSE(z.grad().defined());  // nobody called backward()
}

// ---- Row 21. ----

// From 2.14 on LibTorch has its second derivative.
#if TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 14
TEST(FaultsGraph, Row21CdistIsNamed) {
  expect_no_trace_of_error(
      [](Training& training) {
        training.optimizer->step(loss_of(-torch::cdist(training.outputs(94), randn({4, 4}, 1))));
      },
      "cdist", NaturalGradientOptions().curvature(FisherOrGaussNewton()));
}

// Rows need no second derivative, and the watch over outputs does without it.
TEST(FaultsGraph, Row21CdistTrainsByRows) {
  Training training;
  training.optimizer->step(loss_of(-torch::cdist(training.outputs(94), randn({4, 4}, 1))));
  EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  EXPECT_EQ(training.summary().curvature, "score rows");
}
#endif

TEST(FaultsGraph, Row21FlashAttentionIsNamed) {
  expect_no_trace_of_error(
      [](Training& training) {
        const auto z = training.outputs(94).view({1, 1, 12, 4});
        const auto mixed = torch::scaled_dot_product_attention(z, z, z).view({12, 4});
        ASSERT_EQ(mixed.grad_fn()->next_edge(0).function->name().find("Softmax"),
                  std::string::npos);
        training.optimizer->step(loss_of(mixed));
      },
      "scaled_dot_product", NaturalGradientOptions().curvature(FisherOrGaussNewton()));
}

TEST(FaultsGraph, Row22OpaqueBackwardIsNamed) {
  for (const auto& op : opaque_ops()) {
    expect_no_trace_of_error(
        [&](Training& training) {
          training.optimizer->step(loss_of(op.apply(training.outputs(94))));
        },
        op.name);
  }
}

// ---- Rows 25 to 28: what is no loss. ----

TEST(FaultsGraph, Row25DetachedLossThrows) {
  expect_no_trace_of_error(
      [](Training& training) { training.optimizer->step(training.loss(94).detach()); }, "no graph");
}

TEST(FaultsGraph, Row25DetachedOutputsThrow) {
  expect_no_trace_of_error(
      [](Training& training) { training.optimizer->step(loss_of(training.outputs(94).detach())); },
      "no graph");
}

TEST(FaultsGraph, Row25LossOfAnotherModelThrows) {
  auto other = classifier();
  expect_no_trace_of_error(
      [&](Training& training) {
        training.optimizer->step(loss_of(other->forward(Training::inputs(94))));
      },
      "does not depend on any parameter");
}

TEST(FaultsGraph, Row26VectorLossThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        const auto none = F::CrossEntropyFuncOptions().reduction(torch::kNone);
        training.optimizer->step(
            F::cross_entropy(training.outputs(94), Training::labels(94), none));
      },
      "one number");
}

TEST(FaultsGraph, Row26VectorOfOneNumberIsAccepted) {
  Training one, other;
  one.optimizer->step(one.loss(0).view({1}));
  other.optimizer->step(other.loss(0));
  EXPECT_EQ(one.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(one.theta(), other.theta()));
}

TEST(FaultsGraph, Row27IntegerLossThrows) {
  expect_no_trace_of_error([](Training& training) { training.optimizer->step(torch::tensor(1)); },
                           "real number");
}

TEST(FaultsGraph, Row28UndefinedLossThrows) {
  expect_no_trace_of_error([](Training& training) { training.optimizer->step(Tensor()); },
                           "undefined");
  expect_no_trace_of_error(
      [](Training& training) { training.optimizer->step([] { return Tensor(); }); }, "undefined");
}

// ---- Row 29: modes without gradients around the call. ----

TEST(FaultsGraph, Row29ClosureRunsWithGradientsEnabledInsideNoGradGuard) {
  Training inside, outside;
  for (int k = 0; k < 2; ++k) {
    {
      const torch::NoGradGuard no_grad;
      inside.optimizer->step([&] { return inside.loss(k); });
      EXPECT_FALSE(torch::GradMode::is_enabled());
    }
    outside.optimizer->step([&] { return outside.loss(k); });
  }
  EXPECT_EQ(inside.summary().outcome, StepOutcome::Accepted);
  EXPECT_TRUE(same_bits(inside.theta(), outside.theta()));
}

TEST(FaultsGraph, Row29LossStepsInsideNoGradGuard) {
  Training inside, outside;
  const auto loss = inside.loss(0);
  {
    const torch::NoGradGuard no_grad;
    inside.optimizer->step(loss);
  }
  outside.good_step();
  EXPECT_TRUE(same_bits(inside.theta(), outside.theta()));
}

TEST(FaultsGraph, Row29LossOfANoGradGuardThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        const torch::NoGradGuard no_grad;
        training.optimizer->step(training.loss(94));
      },
      "NoGradGuard");
}

TEST(FaultsGraph, Row29StepInsideInferenceModeThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        const c10::InferenceMode inference;
        training.optimizer->step([&] { return training.loss(94); });
      },
      "InferenceMode");
}

TEST(FaultsGraph, Row29LossOfInferenceModeThrows) {
  expect_no_trace_of_error(
      [](Training& training) {
        Tensor loss;
        {
          const c10::InferenceMode inference;
          loss = training.loss(94);
        }
        training.optimizer->step(loss);
      },
      "InferenceMode");
}

TEST(FaultsGraph, Row29InferenceParametersThrow) {
  Tensor parameter;
  {
    const c10::InferenceMode inference;
    parameter = torch::ones({3});
  }
  expect_error([&] { NaturalGradient({parameter}); }, "InferenceMode");
}

// ---- Row 30: the graph is freed. ----

TEST(FaultsGraph, Row30LossWhoseGraphIsFreedNamesTheLineToDrop) {
  Training training;
  const auto loss = training.loss(94);
  loss.backward();
  const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
  expect_error([&] { training.optimizer->step(loss); }, "loss.backward()");
  before.expect_unchanged();
}

TEST(FaultsGraph, Row30ClosureThatFreesTheGraphNamesTheLineToDrop) {
  expect_no_trace_of_error(
      [](Training& training) {
        training.optimizer->step([&] {
          const auto loss = training.loss(94);
          loss.backward();
          return loss;
        });
      },
      "loss.backward()");
}

TEST(FaultsGraph, Row30ClosureThatKeepsTheGraphWorksAndGradIsTheUsers) {
  Training with, without;
  const auto expected = gradient_of(without.loss(0), without.parameters());
  with.optimizer->step([&] {
    const auto loss = with.loss(0);
    loss.backward({}, /*retain_graph=*/true);
    return loss;
  });
  without.good_step();
  EXPECT_TRUE(same_bits(with.theta(), without.theta()));
  std::vector<Tensor> gradients;
  for (const auto& p : with.parameters()) gradients.push_back(p.grad());
  EXPECT_TRUE(same_bits(flat(gradients), expected));
}

TEST(FaultsGraph, Row30StepOnTheSameLossTwiceThrows) {
  // θ has moved since: the graph's saved tensors are of another version.
  Training training;
  const auto loss = training.loss(0);
  training.optimizer->step(loss);
  const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
  EXPECT_THROW(training.optimizer->step(loss), c10::Error);
  before.expect_unchanged();
}

// ---- Rows 23 and 24: products that are zero, or no numbers, without a fault. ----

NaturalGradientOptions by_the_matrix() {
  return NaturalGradientOptions().curvature(FisherOrGaussNewton());
}

TEST(FaultsGraph, Row23LogCumulativeSumsAreNoNaN) {
  for (const auto& options : {NaturalGradientOptions(), by_the_matrix()}) {
    Training training(options);
    for (int k = 0; k < 3; ++k) {
      training.optimizer->step(
          F::cross_entropy(training.outputs(k).logcumsumexp(1), Training::labels(k)));
      EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted) << training.summary().message();
    }
    EXPECT_TRUE(all_finite(training.theta()));
  }
}

TEST(FaultsGraph, Row24OutputsOfStepFunctionsAreAZeroGradient) {
  for (const bool rounds : {true, false}) {
    for (const auto& options : {NaturalGradientOptions(), by_the_matrix()}) {
      expect_no_trace(
          [&](Training& training) {
            const auto z = training.outputs(94);
            training.optimizer->step(F::mse_loss(rounds ? z.round() : z.sign(), 0 * z.detach()));
            EXPECT_EQ(training.summary().outcome, StepOutcome::ZeroGradient);
          },
          options);
    }
  }
}

// ---- Rows 31 and 32: the parameters are edited. ----

TEST(FaultsGraph, Row31ParametersEditedBetweenTheLossAndTheStepAreTold) {
  for (const auto& options : {NaturalGradientOptions(), by_the_matrix()}) {
    Training training(options);
    training.good_step();
    const auto loss = training.loss(94);
    {
      const torch::NoGradGuard no_grad;
      for (auto& p : training.parameters()) p.add_(0.1);
    }
    const Snapshot before(training.parameters(), training.model.ptr(), training.optimizer.get());
    expect_error([&] { training.optimizer->step(loss); }, "changed in place");
    before.expect_unchanged();
    training.good_step();
    EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
  }
}

TEST(FaultsGraph, Row31ParametersEditedByTheClosureArePutBack) {
  expect_no_trace_of_error(
      [](Training& training) {
        training.optimizer->step([&] {
          const auto loss = training.loss(94);
          const torch::NoGradGuard no_grad;
          for (auto& p : training.parameters()) p.add_(0.1);
          return loss;
        });
      },
      "changed in place");
}

TEST(FaultsGraph, Row32AParameterOfAnotherShapeStartsAnew) {
  // Momentum, a warm start and the step to take back are of the old shape.
  constexpr double kRounding = 1e-10;
  const auto options =
      NaturalGradientOptions(1)
          .damping(Proximal().fixed_lambda(0.1).momentum(0.9).memory_doubling(HUGE_VAL))
          .solver(tight_solver());
  const auto x = randn({8, 3}, 1), wider = randn({8, 5}, 2), y = randn({8}, 3);
  const auto w = randn({3}, 4).requires_grad_(), other = randn({5}, 5).requires_grad_();
  NaturalGradient changed({w}, options), fresh({other}, options);
  for (int k = 0; k < 3; ++k) changed.step(F::mse_loss(x.mv(w), y));
  Tensor(w).set_data(other.detach().clone());
  changed.step(F::mse_loss(wider.mv(w), y));
  fresh.step(F::mse_loss(wider.mv(other), y));
  EXPECT_EQ(changed.summary().outcome, StepOutcome::Accepted);
  EXPECT_LT(relative_error(w, other), kRounding);
}

}  // namespace
}  // namespace natgrad::testing::faults_graph_test
