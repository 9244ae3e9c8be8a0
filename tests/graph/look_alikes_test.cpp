// Losses that resemble those of hand_written_terms.h and spread_terms.h, and are none: with the
// curvature of the likelihood they look like they would be misread.

#include <natgrad/graph/loss_graph.h>

#include "support/graph_readings.h"

namespace natgrad::testing::look_alikes_test {
namespace {

namespace F = torch::nn::functional;

Tensor targets() { return randn({kExamples, kOutputs}, 901); }
Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor chosen(const Tensor& z) { return z.gather(1, labels().unsqueeze(1)).squeeze(1); }

/// A loss of two heads of the same shape.
struct LookAlike {
  std::string name;
  std::string reason;  ///< in the refusal
  std::function<Tensor(const Tensor& z, const Tensor& s)> loss;
};

std::ostream& operator<<(std::ostream& out, const LookAlike& loss) { return out << loss.name; }

struct LookAlikes : ::testing::TestWithParam<LookAlike> {};

TEST_P(LookAlikes, AreRefused) {
  const auto trunk = tanh_network();
  const auto other = parameter({kOutputs, kOutputs}, 902);
  auto parameters = trunk.parameters;
  parameters.push_back(other);
  const auto z = trunk.forward();
  const auto loss = GetParam().loss(z, z.tanh().mm(other));
  expect_error([&] { LossGraph(loss, parameters); }, GetParam().reason);
}

const std::vector<LookAlike> kLookAlikes = {
    {"SmoothAbsolute", "not linear",
     [](auto& z, auto&) { return ((z - targets()).square() + 1e-3).sqrt().mean(); }},
    {"RootOfASquare", "not linear", [](auto& z, auto&) { return z.square().mean().sqrt(); }},
    {"NegativeSquare", "a square with a negative factor",
     [](auto& z, auto&) { return -(z - targets()).square().mean(); }},
    {"SomeSquaresNegative", "a square with a negative factor",
     [](auto& z, auto&) { return (targets() * z.square()).mean(); }},
    {"ThirdPower", "cannot read this loss", [](auto& z, auto&) { return z.pow(3).mean(); }},
    {"FourthPower", "cannot read this loss", [](auto& z, auto&) { return z.pow(4).mean(); }},
    {"ProductOfTwo", "cannot read this loss", [](auto& z, auto& s) { return (z * s).mean(); }},
    {"ProductWithADetachedCopy", "cannot read this loss",
     [](auto& z, auto&) { return (z * z.detach()).mean(); }},
    {"SquareTimesAnotherHead", "not linear",
     [](auto& z, auto& s) { return (z.square() * s.sigmoid()).mean(); }},
    {"EveryOutputWithEveryTarget", "broadcast",
     [](auto& z, auto&) { return (z.select(1, 0) - targets().narrow(1, 0, 1)).square().mean(); }},
    {"MinusLogsumexp", "a negative factor", [](auto& z, auto&) { return -z.logsumexp(1).mean(); }},
    {"MixtureByLogsumexp", "a negative factor",
     [](auto& z, auto& s) { return -(z.log_softmax(1) - s.square()).logsumexp(1).mean(); }},
    {"LogsumexpWithoutTargets", "without targets",
     [](auto& z, auto&) { return z.logsumexp(1).mean(); }},
    {"LogsumexpWithTwiceTheTargets", "without targets",
     [](auto& z, auto&) { return (z.logsumexp(1) - 2 * chosen(z)).mean(); }},
    {"LogsumexpWithOtherTargets", "not linear",
     [](auto& z, auto& s) { return (z.logsumexp(1) - chosen(s)).mean(); }},
    {"LogsumexpOverTheBatch", "without targets",
     [](auto& z, auto&) { return z.logsumexp(0).mean() - chosen(z).mean(); }},
    {"LogsumexpOfAll", "cannot read this loss",
     [](auto& z, auto&) {
       return z.logsumexp({0, 1}) - z.mean();
     }},
    {"SquareOfLogsumexp", "not linear",
     [](auto& z, auto&) { return (z.logsumexp(1).pow(4) - chosen(z)).mean(); }},
    {"SharperSoftplus", "cannot read this loss",
     [](auto& z, auto&) { return (torch::softplus(z, 2) - z).mean(); }},
    {"NegativeSoftplus", "a negative factor",
     [](auto& z, auto&) { return (z - torch::softplus(z)).mean(); }},
    {"LogOfAShiftedSigmoid", "cannot read this loss",
     [](auto& z, auto&) { return -(z.sigmoid() + 0.5).log().mean(); }},
    {"LogOfAFractionOfASigmoid", "cannot read this loss",
     [](auto& z, auto&) { return -(1 - 0.5 * z.sigmoid()).log().mean(); }},
    {"LogOfTwoSigmoids", "cannot read this loss",
     [](auto& z, auto& s) { return -(z.sigmoid() * s.sigmoid()).log().mean(); }},
    {"NegativeLogOddsOfASigmoid", "a negative factor",
     [](auto& z, auto&) { return z.sigmoid().log().mean(); }},
    {"BinaryFocal", "not linear",
     [](auto& z, auto&) {
       const auto p = z.sigmoid();
       return -((1 - p).square() * p.log()).mean();
     }},
    {"FocalOfTheChosenProbability", "not linear",
     [](auto& z, auto&) {
       const auto y = (targets() > 0).to(torch::kDouble), p = z.sigmoid();
       const auto q = y * p + (1 - y) * (1 - p);
       return -((1 - q).square() * q.log()).mean();
     }},
    {"SquareTimesItsLogarithm", "not linear",
     [](auto& z, auto&) { return (z.exp().square() * z.exp().log()).mean(); }},
    {"SquareBesideALogarithm", "that are no variance",
     [](auto& z, auto&) {
       const auto rate = 1 + z.abs();
       return (rate.square() - rate.log()).mean();
     }},
    {"NegativeExponential", "a negative factor",
     [](auto& z, auto&) { return (z.square() - z.exp()).mean(); }},
    {"ExponentialTimesAnotherHead", "not linear",
     [](auto& z, auto& s) { return (z.exp() * s).mean(); }},
    {"ScaledSquareWithoutItsLogVariance", "without the log(v)",
     [](auto& z, auto& s) { return (z.square() * (-s).exp()).mean(); }},
    {"ScaledSquareWithTheWrongSign", "without the log(v)",
     [](auto& z, auto& s) { return (z.square() * s.exp() + s).mean(); }},
    {"ScaledSquareWithTheLogOfItsLogVariance", "that are no variance",
     [](auto& z, auto& s) {
       const auto log_v = 1 + s.square();
       return (z.square() * (-log_v).exp() + log_v.log()).mean();
     }},
    {"QuotientWithoutItsLogVariance", "without the log(v)",
     [](auto& z, auto& s) { return (z.square() / torch::softplus(s)).mean(); }},
    {"QuotientWithTheLogOfAnother", "natgrad::outputs",
     [](auto& z, auto& s) {
       return (z.square() / torch::softplus(s) + (1 + s.square()).log()).mean();
     }},
    {"QuotientOfEveryOutputByOneVariance", "broadcasts",
     [](auto& z, auto& s) {
       const auto v = torch::softplus(s.narrow(1, 0, 1));
       return (z.square() / v + v.log()).mean();
     }},
};

INSTANTIATE_TEST_SUITE_P(Losses, LookAlikes, ::testing::ValuesIn(kLookAlikes), ByName());

}  // namespace
}  // namespace natgrad::testing::look_alikes_test
