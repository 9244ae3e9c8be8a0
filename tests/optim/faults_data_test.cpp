// faults.md, rows 44, 47 to 50 and 55: the batch and its targets.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::faults_data_test {
namespace {

namespace F = torch::nn::functional;

using LossOf = std::function<Tensor(const Tensor& z, const Tensor& y)>;

const std::vector<std::pair<const char*, LossOf>>& classification_losses() {
  static const std::vector<std::pair<const char*, LossOf>> losses = {
      {"cross_entropy", [](auto& z, auto& y) { return F::cross_entropy(z, y); }},
      {"cross_entropy, sum",
       [](auto& z, auto& y) {
         return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().reduction(torch::kSum));
       }},
      {"nll", [](auto& z, auto& y) { return nll(Categorical(z), y); }},
  };
  return losses;
}

/// A step through a closure on these inputs and labels.
Fault step_on(const Tensor& x, const Tensor& y, const LossOf& loss) {
  return [=](Training& training) {
    training.optimizer->step([&] { return loss(training.model->forward(x), y); });
  };
}

void expect_no_trace_of_any_error(const Fault& fault) {
  expect_no_trace([&](Training& training) { EXPECT_THROW(fault(training), c10::Error); });
}

// ---- Row 44. ----

TEST(FaultsData, Row44TargetsOnAnotherDeviceThrow) {
  const auto y = torch::empty({12}, torch::TensorOptions(torch::kLong).device(torch::kMeta));
  for (const auto& [name, loss] : classification_losses()) {
    SCOPED_TRACE(name);
    expect_no_trace_of_any_error(step_on(Training::inputs(0), y, loss));
  }
}

TEST(FaultsData, Row44TargetsOfALikelihoodOnAnotherDeviceAreNamed) {
  const auto y = torch::empty({12}, torch::TensorOptions(torch::kLong).device(torch::kMeta));
  const auto loss = [](auto& z, auto& t) { return nll(Categorical(z), t); };
  expect_no_trace_of_error(step_on(Training::inputs(0), y, loss), "targets are on meta");
}

// ---- Row 47. ----

TEST(FaultsData, Row47EmptyBatchThrows) {
  const auto x = torch::empty({0, 3}, torch::kDouble), y = torch::empty({0}, torch::kLong);
  for (const auto& [name, loss] : classification_losses()) {
    SCOPED_TRACE(name);
    expect_no_trace_of_error(step_on(x, y, loss), "batch is empty");
  }
}

TEST(FaultsData, Row47EmptyRegressionBatchThrows) {
  const auto x = torch::empty({0, 3}, torch::kDouble), y = torch::empty({0, 4}, torch::kDouble);
  const auto mse = [](auto& z, auto& t) { return F::mse_loss(z, t); };
  expect_no_trace_of_error(step_on(x, y, mse), "batch is empty");
}

// ---- Row 48. ----

TEST(FaultsData, Row48BatchOfOneIsFine) {
  for (const auto& [name, loss] : classification_losses()) {
    SCOPED_TRACE(name);
    Training training;
    for (int k = 0; k < 5; ++k) {
      step_on(Training::inputs(k).narrow(0, 0, 1), Training::labels(k).narrow(0, 0, 1),
              loss)(training);
      EXPECT_EQ(training.summary().outcome, StepOutcome::Accepted);
      EXPECT_GT(training.summary().step_norm, 0);
    }
    EXPECT_TRUE(all_finite(training.theta()));
  }
}

// ---- Row 49. ----

TEST(FaultsData, Row49ClassIndicesOutOfRangeThrow) {
  for (const int64_t wrong : {-1, 4}) {
    auto y = Training::labels(0);
    y[3] = wrong;
    for (const auto& [name, loss] : classification_losses()) {
      SCOPED_TRACE(std::string(name) + " of class " + std::to_string(wrong));
      expect_no_trace_of_any_error(step_on(Training::inputs(0), y, loss));
    }
  }
}

TEST(FaultsData, Row49LikelihoodNamesTheIndex) {
  auto y = Training::labels(0);
  y[3] = 4;
  const auto loss = [](auto& z, auto& t) { return nll(Categorical(z), t); };
  expect_no_trace_of_error(step_on(Training::inputs(0), y, loss), "y[3] = 4");
}

// ---- Row 50. ----

TEST(FaultsData, Row50BatchOfIgnoredExamplesUnderSumIsAZeroGradient) {
  const auto y = torch::full({12}, -100, torch::kLong);
  const auto step = step_on(Training::inputs(0), y, classification_losses()[1].second);
  expect_no_trace([&](Training& training) {
    step(training);
    EXPECT_EQ(training.summary().outcome, StepOutcome::ZeroGradient);
  });
}

TEST(FaultsData, Row50BatchOfIgnoredExamplesUnderMeanLeavesNoTrace) {
  // The loss is 0/0 whatever θ is: neither a step nor a reason to take the last one back.
  const auto y = torch::full({12}, -100, torch::kLong);
  const auto step = step_on(Training::inputs(0), y, classification_losses()[0].second);
  expect_no_trace([&](Training& training) {
    try {
      step(training);
      EXPECT_NE(training.summary().outcome, StepOutcome::Accepted);
      EXPECT_FALSE(training.summary().restored);
    } catch (const c10::Error& error) {
      EXPECT_NE(std::string(error.what_without_backtrace()).find("ignore"), std::string::npos);
    }
  });
}

// ---- Row 55. ----

TEST(FaultsData, Row55TargetsThatBroadcastAgainstTheOutputsThrow) {
  const auto flat_targets = randn({12}, 1);  // against outputs of [12, 1]
  const auto column = [](const Tensor& z) { return z.narrow(1, 0, 1); };
  const std::vector<std::pair<const char*, LossOf>> losses = {
      {"mse_loss", [=](auto& z, auto& y) { return F::mse_loss(column(z), y); }},
      {"mse_loss, targets first", [=](auto& z, auto& y) { return F::mse_loss(y, column(z)); }},
      {"nll", [=](auto& z, auto& y) { return nll(Gaussian(column(z)), y); }},
      {"binary_cross_entropy_with_logits",
       [=](auto& z, auto& y) { return F::binary_cross_entropy_with_logits(column(z), y); }},
  };
  for (const auto& [name, loss] : losses) {
    SCOPED_TRACE(name);
    expect_no_trace_of_any_error(step_on(Training::inputs(0), flat_targets, loss));
  }
}

TEST(FaultsData, Row55MessageNamesBothShapes) {
  const auto loss = [](auto& z, auto& y) { return nll(Gaussian(z.narrow(1, 0, 1)), y); };
  expect_no_trace_of_error(step_on(Training::inputs(0), randn({12}, 1), loss), "[12, 1]");
}

}  // namespace
}  // namespace natgrad::testing::faults_data_test
