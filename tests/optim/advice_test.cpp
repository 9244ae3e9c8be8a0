// What errors and warnings tell to write trains: after as many steps it ends near where Adam's best
// rate takes the loss as the user had it, or lower.

#include <algorithm>
#include <limits>

#include "optim/advice_cases.h"
#include "support/oracles.h"
#include "support/warnings.h"

namespace natgrad::testing::advice_test {
namespace {

using advice::Case;
using advice::kBatch;
using advice::kExamples;
using advice::Loss;
using advice::Model;
namespace F = torch::nn::functional;

constexpr int64_t kSteps = 40;
constexpr double kRates[] = {1e-3, 1e-2, 3e-2};
// Of the way that Adam's best rate, picked by where it ends, takes the loss down from the start.
constexpr double kShareOfTheWay = 0.75;

double full_loss(const Loss& loss) {
  double sum = 0;
  for (int64_t k = 0; k < kExamples / kBatch; ++k) sum += loss(k).item<double>();
  return sum * kBatch / kExamples;
}

/// Data and network follow from the seed.
Model start(const Case& advised) {
  torch::manual_seed(0);
  return advised.make();
}

double by_adam(const Case& advised, double rate) {
  const auto model = start(advised);
  torch::optim::Adam adam(model.parameters, torch::optim::AdamOptions(rate));
  for (int64_t k = 0; k < kSteps; ++k) {
    adam.zero_grad();
    model.loss(k).backward();
    adam.step();
  }
  return full_loss(model.loss);
}

double best_of_adam(const Case& advised) {
  double best = std::numeric_limits<double>::infinity();
  for (const double rate : kRates) best = std::min(best, by_adam(advised, rate));
  return best;
}

std::vector<Case> all_cases() {
  auto cases = advice_margins_test::cases();
  const auto others = advice_distributions_test::cases();
  cases.insert(cases.end(), others.begin(), others.end());
  return cases;
}

struct AdviceTest : ::testing::TestWithParam<Case> {};

TEST_P(AdviceTest, TrainsNearlyAsAdamDoes) {
  const auto model = start(GetParam());
  const double first = full_loss(model.loss), adam = best_of_adam(GetParam());
  NaturalGradient optimizer(model.parameters, model.options);
  for (int64_t k = 0; k < kSteps; ++k) optimizer.step(model.advised(k));
  const double last = full_loss(model.loss);
  EXPECT_LE(last, first - kShareOfTheWay * (first - adam)) << optimizer.summary().message();
}

INSTANTIATE_TEST_SUITE_P(Sentences, AdviceTest, ::testing::ValuesIn(all_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

Case case_of(std::string_view name) {
  const auto cases = all_cases();
  return *std::find_if(cases.begin(), cases.end(),
                       [name](const Case& one) { return one.name == name; });
}

// ---- A step that fails. ----

/// Hessian-free steps from the start on, and the message of the first that failed.
struct HessianFree {
  HessianFree(const Case& advised, const NaturalGradientOptions& options) {
    const auto model = start(advised);
    NaturalGradient optimizer(model.parameters, options);
    for (int64_t k = 0; k < kSteps; ++k) {
      optimizer.step([&] { return model.advised(k); });
      const auto& summary = optimizer.summary();
      const bool failed = summary.outcome == StepOutcome::SolverFailed;
      if (failed && failure.empty()) failure = summary.message();
    }
    last = full_loss(model.loss);
  }
  std::string failure;
  double last;
};

TEST(AdviceOfFailures, ALossThatIsNotConvexTakesTheFisherMatrixThoughItsOutputsAreNamed) {
  const Warnings told;
  const auto policy = case_of("PolicyOfMeanAndSpreadLogStdGaussian");
  EXPECT_NE(HessianFree(policy, presets::hessian_free())
                .failure.find("curvature(natgrad::FisherOrGaussNewton())"),
            std::string::npos);
  const HessianFree advised(policy, presets::hessian_free().curvature(FisherOrGaussNewton()));
  EXPECT_EQ(advised.failure, "");
  EXPECT_LE(advised.last, kShareOfTheWay * best_of_adam(policy)) << "from zero, down";
}

TEST(AdviceOfFailures, OrGradientRowsWhereTheyAreNot) {
  const Warnings told;
  const auto mixture = case_of("MixtureLeftAlone");
  const HessianFree advised(mixture, presets::hessian_free().curvature(FisherOrGaussNewton()));
  EXPECT_EQ(advised.failure, "");
  EXPECT_LE(advised.last, best_of_adam(mixture));
}

// ---- What asks for examples that are independent. ----

struct BatchNormalised : ::testing::Test {
  Tensor x = (torch::manual_seed(0), torch::randn({kExamples, 6}));
  Tensor y = torch::sin(x.narrow(1, 0, 1)) + x.narrow(1, 1, 1);

  double trained(torch::nn::Sequential net) const {
    const auto loss = [&](int64_t k) {
      return F::mse_loss(net->forward(advice::rows(x, k)), advice::rows(y, k));
    };
    NaturalGradient optimizer(net->parameters(),
                              NaturalGradientOptions().curvature(EmpiricalFisher()));
    for (int64_t k = 0; k < kSteps; ++k) optimizer.step(loss(k));
    return full_loss(loss);
  }
  double variance() const { return y.var().item<double>(); }
};

// Of the targets' variance what is left.
constexpr double kLeft = 0.2;

TEST_F(BatchNormalised, TheEmpiricalFisherMatrixTakesRunningStatistics) {
  using namespace torch::nn;
  Sequential net(Linear(6, 32), BatchNorm1d(32), Tanh(), Linear(32, 1));
  expect_error([&] { trained(net); }, "model->eval()");
  net->eval();
  EXPECT_LT(trained(net), kLeft * variance());
}

TEST_F(BatchNormalised, OrLayersThatNormaliseEachExample) {
  using namespace torch::nn;
  Sequential net(Linear(6, 32), LayerNorm(LayerNormOptions({32})), Tanh(), Linear(32, 1));
  EXPECT_LT(trained(net), kLeft * variance());
  Sequential groups(Linear(6, 32), GroupNorm(4, 32), Tanh(), Linear(32, 1));
  EXPECT_LT(trained(groups), kLeft * variance());
}

// ---- What is said of a loss that cannot be read. ----

TEST(AdviceOfWarnings, TheReasonIsPartOfOneSentence) {
  Warnings warnings;
  const auto model = start(case_of("SoftplusSigmaByItsLogarithm"));
  NaturalGradient optimizer(model.parameters);
  optimizer.step(model.loss(0));
  ASSERT_EQ(warnings.texts.size(), 1u);
  const auto& text = warnings.texts.front();
  EXPECT_NE(text.find("sigma.log()"), std::string::npos) << text;
  EXPECT_EQ(text.find("natgrad: ", 1), std::string::npos) << text;
  EXPECT_EQ(text.find(".."), std::string::npos) << text;
}

TEST(AdviceOfErrors, ABroadcastIsReportedInTheUsersShapes) {
  const Warnings libtorchs;
  torch::manual_seed(0);
  auto net = advice::mlp(3, 1);
  const auto z = net->forward(torch::randn({kBatch, 3})), y = torch::randn({kBatch});
  NaturalGradient optimizer(net->parameters());
  expect_error([&] { optimizer.step(F::mse_loss(z, y)); }, "[64, 1] and [64]");
  optimizer.step(F::mse_loss(z, y.view_as(z)));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
}

struct Broadcast {
  std::string name;
  std::function<Tensor(const Tensor& z, const Tensor& y)> loss;
};

std::ostream& operator<<(std::ostream& out, const Broadcast& loss) { return out << loss.name; }

struct BroadcastByHand : ::testing::TestWithParam<Broadcast> {};

// Targets of [N] against outputs of [N, 1]: the loss falls, of a model that learns nothing.
TEST_P(BroadcastByHand, IsRefusedAndTheSameInOneShapeIsNot) {
  torch::manual_seed(0);
  auto net = advice::mlp(3, 1);
  const auto x = torch::randn({kBatch, 3}), y = torch::bernoulli(torch::full({kBatch}, 0.5));
  NaturalGradient optimizer(net->parameters());
  const auto& loss = GetParam().loss;
  for (const bool is_column : {true, false}) {
    const auto z = net->forward(x);
    expect_error(
        [&] { optimizer.step(is_column ? loss(z, y) : loss(z.squeeze(1), y.unsqueeze(1))); },
        "every output meets every target");
  }
  optimizer.step(loss(net->forward(x), y.unsqueeze(1)));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, BroadcastByHand,
    ::testing::Values(
        Broadcast{"LabelsOfASign",
                  [](auto& z, auto& y) { return F::softplus(-(2 * y - 1) * z).mean(); }},
        Broadcast{"Softplus", [](auto& z, auto& y) { return (F::softplus(z) - y * z).mean(); }},
        Broadcast{"LogarithmsOfASigmoid",
                  [](auto& z, auto& y) {
                    const auto p = torch::sigmoid(z);
                    return -(y * p.log() + (1 - y) * (1 - p).log()).mean();
                  }},
        Broadcast{"LogSigmoid",
                  [](auto& z, auto& y) {
                    return -(y * torch::log_sigmoid(z) + (1 - y) * torch::log_sigmoid(-z)).mean();
                  }}),
    [](const auto& info) { return info.param.name; });

// A difference does not keep what was subtracted, which may be of [N, N] itself: it is told, first.
TEST(BroadcastDifference, IsToldByTheFirstSentence) {
  torch::manual_seed(0);
  auto net = advice::mlp(3, 1);
  const auto x = torch::randn({kBatch, 3}), y = torch::randn({kBatch});
  NaturalGradient optimizer(net->parameters());
  const Warnings warnings;
  optimizer.step((net->forward(x) - y).square().mean());
  ASSERT_EQ(warnings.texts.size(), 1u);
  EXPECT_EQ(warnings.texts[0].rfind("natgrad: a difference broadcast outputs of shape [64, 1]", 0),
            0u)
      << warnings.texts[0];
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
}

// Each output against each of as many anchors.
TEST(BroadcastThatIsMeant, TrainsWithMarkedOutputs) {
  torch::manual_seed(0);
  auto net = advice::mlp(3, 1);
  const auto x = torch::randn({kBatch, 3}), anchors = torch::randn({kBatch});
  NaturalGradient optimizer(net->parameters());
  const auto z = outputs(net->forward(x));
  optimizer.step((F::softplus(z) - anchors * z + (z - anchors).square()).mean());
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::Accepted) << optimizer.summary().message();
}

}  // namespace
}  // namespace natgrad::testing::advice_test
