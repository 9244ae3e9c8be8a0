// docs/faults.md, rows 44 and 47 to 55: the batch and its targets.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/likelihoods.h>

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

// ---- Row 51. ----

/// Probabilities as targets of the classes.
Tensor probabilities() { return randn({12, 4}, 3).softmax(1); }

TEST(FaultsData, Row51ProbabilitiesThatAreNegativeOrDoNotSumToOneAreNamed) {
  const auto loss = [](auto& z, auto& t) { return nll(Categorical(z), t); };
  auto negative = probabilities();
  negative[2][1] = -0.5;
  expect_no_trace_of_any_error(step_on(Training::inputs(0), negative, loss));
  expect_no_trace_of_any_error(step_on(Training::inputs(0), 2 * probabilities(), loss));
}

TEST(FaultsData, Row51CrossEntropyTakesTheSumOfTheProbabilitiesAsAWeight) {
  // Twice the probabilities are twice the loss.
  constexpr double kRounding = 1e-12;
  const auto loss = [](auto& z, auto& t) { return F::cross_entropy(z, t); };
  Training twice, once;
  step_on(Training::inputs(0), 2 * probabilities(), loss)(twice);
  step_on(Training::inputs(0), probabilities(),
          [&](auto& z, auto& t) { return 2 * loss(z, t); })(once);
  EXPECT_EQ(twice.summary().outcome, StepOutcome::Accepted);
  EXPECT_LT(relative_error(twice.theta(), once.theta()), kRounding);
}

// ---- Row 52: outside the family's support. ----

struct BadTargets {
  const char* name;
  LossOf loss;
  double target;
};

const std::vector<BadTargets>& bad_targets() {
  const auto positive = [](const Tensor& z) { return z.narrow(1, 0, 1).exp(); };
  static const std::vector<BadTargets> cases = {
      {"Poisson, negative", [](auto& z, auto& y) { return nll(Poisson(z), y); }, -1},
      {"Poisson, no integer", [](auto& z, auto& y) { return nll(Poisson(z), y); }, 0.5},
      {"NegativeBinomial, negative",
       [](auto& z, auto& y) { return nll(NegativeBinomial(z, 2.), y); }, -1},
      {"Bernoulli, above 1", [](auto& z, auto& y) { return nll(Bernoulli(z), y); }, 1.5},
      {"Bernoulli, below 0", [](auto& z, auto& y) { return nll(Bernoulli(z), y); }, -0.5},
      {"Exponential, negative",
       [=](auto& z, auto& y) { return nll(Exponential(-positive(z)), y.narrow(1, 0, 1)); }, -1},
      {"Gamma, zero",
       [=](auto& z, auto& y) {
         return nll(Gamma(torch::cat({positive(z), -positive(z)}, 1)), y.narrow(1, 0, 1));
       },
       0},
      {"Gaussian, NaN", [](auto& z, auto& y) { return nll(Gaussian(z), y); }, std::nan("")},
      {"StudentT, infinite", [](auto& z, auto& y) { return nll(StudentT(z, 3.), y); }, HUGE_VAL},
  };
  return cases;
}

TEST(FaultsData, Row52TargetsOutsideTheSupportAreNamed) {
  for (const auto& [name, loss, target] : bad_targets()) {
    SCOPED_TRACE(name);
    const auto y = torch::full({12, 4}, target, torch::kDouble);
    expect_no_trace_of_error(step_on(Training::inputs(0), y, loss), "y[0, 0] = ");
  }
}

TEST(FaultsData, Row52ParametersOutsideTheFamilyAreNamed) {
  const auto column = [](const Tensor& t) { return t.narrow(1, 0, 1); };
  const std::vector<std::pair<const char*, LossOf>> cases = {
      {"a natural parameter that is not negative",
       [=](auto& z, auto& y) {
         return nll(NaturalGaussian(torch::cat({column(z), column(z).exp()}, 1)), column(y));
       }},
      {"a precision that is not positive definite",
       [](auto& z, auto& y) {
         const auto covariance = -torch::eye(4, torch::kDouble);
         return nll(FullGaussian(z, covariance), y);
       }},
      {"degrees of freedom of zero", [](auto& z, auto& y) { return nll(StudentT(z, 0.), y); }},
      {"a variance of zero", [](auto& z, auto& y) { return nll(Gaussian(z, 0.), y); }},
  };
  for (const auto& [name, loss] : cases) {
    SCOPED_TRACE(name);
    expect_no_trace_of_any_error(step_on(Training::inputs(0), randn({12, 4}, 1), loss));
  }
}

/// The judge's trial may leave the domain; the first evaluation may not.
TEST(FaultsData, Row52OutputsOutsideTheDomainAtTheStartThrow) {
  const auto loss = [](auto& z, auto& y) {
    return nll(Exponential(z.narrow(1, 0, 1) + 100), y.narrow(1, 0, 1));
  };
  expect_no_trace_of_any_error(step_on(Training::inputs(0), torch::ones({12, 4}), loss));
}

// ---- Rows 53 and 54: large logits. ----

TEST(FaultsData, Row53SeparableClassesEndWithFiniteParametersAndNoLoss) {
  const auto x = torch::tensor({{1., 2.}, {2., 1.}, {-1., -1.}, {-2., -1.}}, torch::kDouble);
  const auto y = torch::tensor({1., 1., 0., 0.}, torch::kDouble);
  constexpr double kNoLoss = 1e-3;
  for (const auto& options :
       {NaturalGradientOptions(), NaturalGradientOptions().curvature(FisherOrGaussNewton())}) {
    const auto w = torch::zeros({2}, torch::kDouble).requires_grad_();
    NaturalGradient optimizer({w}, options);
    double loss = 0;
    for (int k = 0; k < 300; ++k) {
      loss = optimizer.step(F::binary_cross_entropy_with_logits(x.mv(w), y)).item<double>();
      ASSERT_TRUE(std::isfinite(loss));
    }
    EXPECT_LT(loss, kNoLoss);
    EXPECT_TRUE(all_finite(w));
  }
}

TEST(FaultsData, Row54LogitsOf1e4AreFinite) {
  for (const auto& [name, loss] : classification_losses()) {
    for (const auto& options :
         {NaturalGradientOptions(), NaturalGradientOptions().curvature(FisherOrGaussNewton())}) {
      SCOPED_TRACE(name);
      Training training(options);
      for (int k = 0; k < 3; ++k) {
        const auto z = 1e4 * training.outputs(k);
        training.optimizer->step(loss(z, Training::labels(k)));
        EXPECT_TRUE(std::isfinite(training.summary().gradient_norm));
        EXPECT_TRUE(all_finite(training.theta()));
      }
    }
  }
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
