// Where the ops' kinds tell that a loss is linear in its one term no probe is made. They agree with
// it, and with what the loss was read as before.

#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include "graph/coefficients.h"
#include "graph/unreadable.h"
#include "graph/walk.h"

#include "support/dense_oracles.h"
#include "support/graph_readings.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::linear_by_kind_test {
namespace {

namespace F = torch::nn::functional;

// Of a Hessian in double by two double backward passes.
constexpr double kRounding = 1e-11;

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor targets() { return randn({kExamples, kOutputs}, 1); }
Tensor ce(const Tensor& z) { return F::cross_entropy(z, labels()); }
Tensor ce_of_each(const Tensor& z) {
  return F::cross_entropy(z, labels(), F::CrossEntropyFuncOptions().reduction(torch::kNone));
}

struct Form {
  std::string name;
  std::function<Tensor(const Tensor& z)> loss;
};

void PrintTo(const Form& form, std::ostream* out) { *out << form.name; }

std::vector<Form> linear_forms() {
  return {
      {"CrossEntropy", ce},
      {"Mse", [](auto& z) { return F::mse_loss(z, targets()); }},
      {"Scaled", [](auto& z) { return 3 * ce(z) / 7; }},
      {"Negative", [](auto& z) { return -ce(z); }},
      {"Shifted", [](auto& z) { return ce(z) + 2 - z.detach().sum(); }},
      {"MeanOfEach", [](auto& z) { return ce_of_each(z).mean(); }},
      {"WeightedSumOfEach", [](auto& z) { return (ce_of_each(z) * randn({4}, 2).exp()).sum(); }},
      {"OfItself", [](auto& z) { return ce(z) / ce(z).detach(); }},
      {"TimesItself", [](auto& z) { return ce(z) * ce(z).detach(); }},
      {"OneTermTwice",
       [](auto& z) {
         const auto loss = ce(z);
         return loss + loss / 3;
       }},
      {"ALinearLossOfTheUsersOwn", [](auto& z) { return natgrad::outputs(z).mean(); }},
  };
}

std::vector<Form> other_forms() {
  return {
      {"Logarithm", [](auto& z) { return ce(z).log(); }},
      {"Cube", [](auto& z) { return ce(z).pow(3); }},
      {"TimesMoreThanItself",
       [](auto& z) {
         const auto loss = ce(z);
         return loss * (1 + loss);
       }},
      {"TimesAnother", [](auto& z) { return ce(z) * F::mse_loss(z, targets()); }},
      {"OverItselfAlive",
       [](auto& z) {
         const auto loss = ce(z);
         return loss / (1 + loss);
       }},
      {"AConstantOver", [](auto& z) { return -torch::ones({}, torch::kDouble) / ce(z); }},
      {"Saturating", [](auto& z) { return ce_of_each(z).tanh().mean(); }},
  };
}

struct Case {
  Network network = tanh_network();
  Tensor z = network.forward();
  Tensor loss;
  explicit Case(const Form& form) : loss(form.loss(z)) {}
  detail::LossParts parts() const { return detail::find_parts(loss, network.parameters); }
};

struct LinearByKind : ::testing::TestWithParam<Form> {};

TEST_P(LinearByKind, IsSeenAndTheProbeAgrees) {
  const Case of(GetParam());
  const auto parts = of.parts();
  ASSERT_TRUE(parts.is_linear_by_kind);
  const auto plain = detail::coefficients_of(of.loss, parts, detail::Pass::Plain);
  const auto probed = detail::coefficients_of(of.loss, parts);
  EXPECT_NO_THROW(detail::check_linearity(parts, probed, seeded(3)));
  EXPECT_TRUE(identical(plain.received.at(0).detach(), probed.received.at(0).detach()));
}

// The Gauss-Newton matrix of what was read is that of the loss itself.
TEST_P(LinearByKind, IsReadAsWhatItIs) {
  const Case of(GetParam());
  const LossGraph graph(of.loss, of.network.parameters);
  const auto error = dense_loss_hessian(graph, {of.z}) - hessian(of.loss, {of.z});
  EXPECT_LT(error.norm().item<double>(), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Forms, LinearByKind, ::testing::ValuesIn(linear_forms()), ByName());

struct NotLinearByKind : ::testing::TestWithParam<Form> {};

TEST_P(NotLinearByKind, IsRefusedAsBefore) {
  const Case of(GetParam());
  EXPECT_FALSE(of.parts().is_linear_by_kind);
  expect_error([&] { LossGraph(of.loss, of.network.parameters); }, "natgrad::outputs");
}

INSTANTIATE_TEST_SUITE_P(Forms, NotLinearByKind, ::testing::ValuesIn(other_forms()), ByName());

// Of several parts one may lie below another: then the probe tells.
TEST(LinearByKindTest, SumsOfTermsAreProbed) {
  const Case of({"", [](auto& z) { return ce(z) + F::mse_loss(z, targets()); }});
  EXPECT_FALSE(of.parts().is_linear_by_kind);
  EXPECT_NO_THROW(LossGraph(of.loss, of.network.parameters));
}

}  // namespace
}  // namespace natgrad::testing::linear_by_kind_test
