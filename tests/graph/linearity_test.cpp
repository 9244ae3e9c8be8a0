// The linearity check of LossGraph: a loss that is not linear in its terms has another curvature
// than its likelihoods, and is refused rather than misread.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::linearity_test {
namespace {

namespace F = torch::nn::functional;

// The check is one random probe: it must not depend on luck.
constexpr uint64_t kProbes = 20;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor targets() { return randn({kExamples, kOutputs}, 601); }
Tensor ce(const Tensor& z) { return F::cross_entropy(z, labels()); }
Tensor ce_of_each(const Tensor& z) {
  return F::cross_entropy(z, labels(), F::CrossEntropyFuncOptions().reduction(torch::kNone));
}

/// A loss of two heads a and b and of a parameter s.
struct HeadedLoss {
  std::string name;
  std::function<Tensor(const Tensor& a, const Tensor& b, const Tensor& s)> loss;
};

std::ostream& operator<<(std::ostream& out, const HeadedLoss& loss) { return out << loss.name; }

LossGraph read(const HeadedLoss& headed, uint64_t seed) {
  const auto trunk = tanh_network();
  const auto s = parameter({}, 602);
  const auto other = parameter({kOutputs, kOutputs}, 603);
  const auto a = trunk.forward();
  auto parameters = trunk.parameters;
  parameters.insert(parameters.end(), {s, other});
  return LossGraph(headed.loss(a, a.tanh().mm(other), s), parameters, seeded(seed));
}

struct NotLinear : ::testing::TestWithParam<HeadedLoss> {};

TEST_P(NotLinear, ThrowsAndNamesTheMark) {
  for (uint64_t seed = 0; seed < kProbes; ++seed) {
    SCOPED_TRACE("probe " + std::to_string(seed));
    expect_error([&] { read(GetParam(), seed); }, "natgrad::outputs");
  }
}

const std::vector<HeadedLoss> kNotLinear = {
    {"Focal",
     [](auto& a, auto&, auto&) {
       const auto each = ce_of_each(a);
       return ((1 - (-each).exp()).pow(2) * each).mean();
     }},
    {"LogOfNll", [](auto& a, auto&, auto&) { return nll(Categorical(a), labels()).log(); }},
    {"LogOfMse", [](auto& a, auto&, auto&) { return F::mse_loss(a, targets()).log(); }},
    {"RootOfMse", [](auto& a, auto&, auto&) { return F::mse_loss(a, targets()).sqrt(); }},
    {"CubeOfCrossEntropy", [](auto& a, auto&, auto&) { return ce(a).pow(3); }},
    {"SaturatingCrossEntropy", [](auto& a, auto&, auto&) { return ce(a).tanh(); }},
    {"WorstExampleSoftly", [](auto& a, auto&, auto&) { return ce_of_each(a).logsumexp(0); }},
    {"ProductOfHeads", [](auto& a, auto& b, auto&) { return ce(a) * ce(b); }},
    {"ProductOfFamilies",
     [](auto& a, auto& b, auto&) { return ce(a) * F::mse_loss(b, targets()); }},
    {"RatioOfHeads", [](auto& a, auto& b, auto&) { return ce(a) / F::mse_loss(b, targets()); }},
    {"SumOfALinearAndACubedTerm",
     [](auto& a, auto& b, auto&) { return ce(a) + F::mse_loss(b, targets()).pow(3); }},
    {"WeightFromTheSameHead",
     [](auto& a, auto&, auto&) { return (ce_of_each(a) * a.softmax(1).amax(1)).sum(); }},
    {"TermTimesMarkedLoss",
     [](auto& a, auto& b, auto&) { return ce(a) * outputs(b).pow(2).mean(); }},
};

INSTANTIATE_TEST_SUITE_P(Losses, NotLinear, ::testing::ValuesIn(kNotLinear), ByName());

// The weight reaches the network past all terms.
TEST(LinearityTest, AWeightFromAnotherHeadIsRefused) {
  const HeadedLoss weighted{
      "", [](auto& a, auto& b, auto&) { return (ce_of_each(a) * b.sigmoid().mean(1)).sum(); }};
  expect_error([&] { read(weighted, 0); }, "SigmoidBackward0");
}

struct Linear : ::testing::TestWithParam<HeadedLoss> {};

TEST_P(Linear, IsRead) {
  for (uint64_t seed = 0; seed < kProbes; ++seed) EXPECT_NO_THROW(read(GetParam(), seed));
}

const std::vector<HeadedLoss> kLinear = {
    {"Difference", [](auto& a, auto& b, auto&) { return ce(a) - 0.5 * ce(b); }},
    {"WeightFromDetachedHead",
     [](auto& a, auto& b, auto&) { return (ce_of_each(a) * b.detach().sigmoid().mean(1)).sum(); }},
    {"NormalizedByItself", [](auto& a, auto&, auto&) { return ce(a) / ce(a).detach(); }},
    {"OnlyTheWorstExample", [](auto& a, auto&, auto&) { return ce_of_each(a).max(); }},
    {"ClampedFromBelow",
     [](auto& a, auto&, auto&) { return ce_of_each(a).clamp_min(0.01).mean(); }},
    {"OneTermTwice",
     [](auto& a, auto&, auto&) {
       const auto loss = ce(a);
       return loss + loss / 3;
     }},
};

INSTANTIATE_TEST_SUITE_P(Losses, Linear, ::testing::ValuesIn(kLinear), ByName());

}  // namespace
}  // namespace natgrad::testing::linearity_test
