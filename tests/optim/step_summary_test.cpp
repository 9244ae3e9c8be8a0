#include <natgrad/optim/step_summary.h>

#include <set>

#include "support/oracles.h"

namespace natgrad::testing::step_summary_test {
namespace {

const std::vector<std::pair<StepOutcome, std::string>> kOutcomes = {
    {StepOutcome::NotStepped, "NotStepped"},
    {StepOutcome::Accepted, "Accepted"},
    {StepOutcome::ZeroGradient, "ZeroGradient"},
    {StepOutcome::NonFiniteLoss, "NonFiniteLoss"},
    {StepOutcome::NonFiniteGradient, "NonFiniteGradient"},
    {StepOutcome::SolverFailed, "SolverFailed"},
};

StepSummary example() {
  StepSummary summary;
  summary.outcome = StepOutcome::Accepted;
  summary.step = 12;
  summary.loss = 0.375;
  summary.gradient_norm = 2.5;
  summary.lambda = 0.0625;
  summary.step_norm = 0.15625;
  summary.solver.iterations = 9;
  summary.solver.termination = Termination::Converged;
  return summary;
}

void expect_mentions(const StepSummary& summary, const std::string& text) {
  EXPECT_NE(summary.message().find(text), std::string::npos)
      << "\"" << summary.message() << "\" lacks \"" << text << "\"";
}

TEST(StepSummaryTest, OutcomesHaveTheirNames) {
  for (const auto& [outcome, name] : kOutcomes) EXPECT_EQ(to_string(outcome), name);
}

TEST(StepSummaryTest, MessageIsOneLineWithEachFigure) {
  EXPECT_EQ(example().message().find('\n'), std::string::npos);
  for (const auto* figure : {"12", "0.375", "2.5", "0.0625", "0.156", "9", "Converged"}) {
    expect_mentions(example(), figure);
  }
}

TEST(StepSummaryTest, MessageNamesTheOutcome) {
  for (const auto& [outcome, name] : kOutcomes) {
    auto summary = example();
    summary.outcome = outcome;
    expect_mentions(summary, name);
  }
}

TEST(StepSummaryTest, MessageSaysWhenAStepWasTakenBack) {
  auto summary = example();
  summary.outcome = StepOutcome::NonFiniteLoss;
  const auto plain = summary.message();
  summary.restored = true;
  EXPECT_NE(summary.message(), plain);
  expect_mentions(summary, "taken back");
}

TEST(StepSummaryTest, BeforeTheFirstStepNothingIsClaimed) {
  EXPECT_EQ(StepSummary().message(), "step 0: NotStepped");
}

TEST(StepSummaryTest, AFailedSolveSaysWhatToLookFor) {
  auto summary = example();
  summary.outcome = StepOutcome::SolverFailed;
  summary.solver.termination = Termination::NegativeCurvature;
  expect_mentions(summary, "not convex");
  summary.negative_weights = 3;
  expect_mentions(summary, "3 weights of the loss are negative");
  expect_mentions(summary, "FisherWeights::Uniform");
  summary.solver.termination = Termination::Breakdown;
  expect_mentions(summary, "no curvature");
}

TEST(StepSummaryTest, NegativeWeightsAreReportedOfAnAcceptedStepToo) {
  auto summary = example();
  EXPECT_EQ(summary.message().find("negative"), std::string::npos);
  summary.negative_weights = 3;
  expect_mentions(summary, "3 negative weights");
}

TEST(StepSummaryTest, MessagesAreDistinctForEachOutcome) {
  std::set<std::string> messages;
  for (const auto& [outcome, name] : kOutcomes) {
    auto summary = example();
    summary.outcome = outcome;
    messages.insert(summary.message());
  }
  EXPECT_EQ(messages.size(), kOutcomes.size());
}

TEST(StepSummaryTest, MessageStandsNumbersThatAreNotFinite) {
  auto summary = example();
  summary.loss = std::numeric_limits<double>::quiet_NaN();
  summary.gradient_norm = std::numeric_limits<double>::infinity();
  expect_mentions(summary, "nan");
  expect_mentions(summary, "inf");
}

}  // namespace
}  // namespace natgrad::testing::step_summary_test
