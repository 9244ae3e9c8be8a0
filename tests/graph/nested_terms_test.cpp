// Nested terms: a path of the loss that reaches a node below another term. A lower term counts with
// its own coefficient only, and each Hessian is taken with all other terms' inputs held fixed.

#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>

#include "support/dense_oracles.h"
#include "support/graph_readings.h"

namespace natgrad::testing::nested_terms_test {
namespace {

namespace F = torch::nn::functional;

// Sums of some hundred products of numbers near one.
constexpr double kRounding = 1e-12;

/// A loss with its references: h = Σ terms, each a function of its own z alone.
struct Nested {
  std::vector<Tensor> parameters;
  Tensor loss;
  Outputs z;                      // of the terms
  std::vector<Tensor> gradients;  // ∂(own term)/∂z
  std::vector<Tensor> hessians;   // ∂²(own term)/∂z²
};

struct NestedCase {
  std::string name;
  std::function<Nested()> make;
};

std::ostream& operator<<(std::ostream& out, const NestedCase& nested) { return out << nested.name; }

// ---- Closed forms, with weights s of one number. ----

Tensor softmax_gradient(const Tensor& z, const Tensor& y, double s) {
  return s * (z.softmax(1) - torch::one_hot(y, z.size(1)).to(torch::kDouble)).detach();
}

Tensor softmax_hessian(const Tensor& z, double s) {
  return closed_form_fisher({0, categorical(), torch::full({}, s, torch::kDouble)}, z);
}

Tensor bernoulli_hessian(const Tensor& z, double s) {
  return closed_form_fisher({0, bernoulli(), torch::full({}, s, torch::kDouble)}, z);
}

Tensor scaled_identity(const Tensor& z, double s) {
  return s * torch::eye(z.numel(), torch::kDouble);
}

// ---- Cases. ----

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor upper_labels() { return torch::tensor({1, 1, 0, 2}); }

/// An auxiliary head whose log-probabilities also feed a further network with another loss.
Nested auxiliary_cross_entropy() {
  auto network = tanh_network();
  const auto w = parameter({3, kOutputs}, 701);
  const auto lower = network.forward();
  const auto log_p = lower.log_softmax(1);
  const auto upper = torch::linear((log_p / 2).tanh(), w);
  network.parameters.push_back(w);
  return {
      network.parameters,
      F::cross_entropy(upper, upper_labels()) + 0.3 * F::nll_loss(log_p, labels()),
      {lower, upper},
      {softmax_gradient(lower, labels(), 0.3 / 4), softmax_gradient(upper, upper_labels(), 0.25)},
      {softmax_hessian(lower, 0.3 / 4), softmax_hessian(upper, 0.25)}};
}

/// Three terms in a chain: on each z stands a loss, and the next network takes it as input.
Nested chain_of_three() {
  auto network = tanh_network();
  const auto w1 = parameter({kOutputs, kOutputs}, 711), w2 = parameter({3, kOutputs}, 712);
  const auto first = network.forward();
  const auto log_p = first.log_softmax(1);
  const auto second = torch::linear(log_p.exp(), w1);
  const auto fractions = torch::rand({kExamples, kOutputs}, seeded(713), torch::kDouble);
  const auto coins = F::binary_cross_entropy_with_logits(
      second, fractions, F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kNone));
  const auto third = torch::linear(coins.tanh(), w2);  // a loss that is also an input
  network.parameters.insert(network.parameters.end(), {w1, w2});
  return {
      network.parameters,
      0.3 * F::nll_loss(log_p, labels()) + 0.1 * coins.sum() +
          F::cross_entropy(third, upper_labels()),
      {first, second, third},
      {softmax_gradient(first, labels(), 0.3 / 4), 0.1 * (second.sigmoid() - fractions).detach(),
       softmax_gradient(third, upper_labels(), 0.25)},
      {softmax_hessian(first, 0.3 / 4), bernoulli_hessian(second, 0.1),
       softmax_hessian(third, 0.25)}};
}

/// The lower term's own coefficient is zero: its log-softmax is only a layer of the network, after
/// all.
Nested auxiliary_of_weight_zero() {
  auto network = tanh_network();
  const auto w = parameter({3, kOutputs}, 721);
  const auto lower = network.forward();
  const auto log_p = lower.log_softmax(1);
  const auto upper = torch::linear(log_p, w);
  network.parameters.push_back(w);
  return {network.parameters,
          F::cross_entropy(upper, upper_labels()) + 0 * F::nll_loss(log_p, labels()),
          {lower, upper},
          {torch::zeros_like(lower).detach(), softmax_gradient(upper, upper_labels(), 0.25)},
          {scaled_identity(lower, 0), softmax_hessian(upper, 0.25)}};
}

/// Mean and log-variance of a code under KL(q‖N(0, 1)), and a Bernoulli decoder on the sampled
/// code.
Nested variational_autoencoder() {
  auto network = tanh_network();
  const auto decoder = parameter({5, 3}, 731);
  const auto picture = torch::rand({kExamples, 5}, seeded(732), torch::kDouble);
  const auto noise = randn({kExamples, 3}, 733);
  const auto code = network.forward();
  const auto mu = code.narrow(1, 0, 3), log_variance = code.narrow(1, 3, 3);
  const auto m = outputs(mu), v = outputs(log_variance);
  const auto kl = 0.5 * (m.pow(2) + v.exp() - 1 - v).sum() / 4;
  const auto logits = torch::linear((m + noise * (0.5 * v).exp()).tanh(), decoder);
  const auto bce = F::binary_cross_entropy_with_logits(
      logits, picture, F::BinaryCrossEntropyWithLogitsFuncOptions().reduction(torch::kSum));
  network.parameters.push_back(decoder);
  const auto variance = log_variance.detach().exp();
  return {network.parameters,
          bce / 4 + kl,
          {mu, log_variance, logits},
          {mu.detach() / 4, (variance - 1) / 8, (logits.sigmoid() - picture).detach() / 4},
          {scaled_identity(mu, 0.25), (variance / 8).reshape(-1).diag(),
           bernoulli_hessian(logits, 0.25)}};
}

/// The user's own losses on two marks, the second a function of the first.
Nested mark_below_a_mark() {
  auto network = tanh_network();
  const auto w = parameter({3, kOutputs}, 741);
  const auto lower = network.forward();
  const auto m = outputs(lower);
  const auto upper = torch::linear(m.tanh(), w);
  const auto own = outputs(upper).pow(4).sum() + 2 * m.exp().sum();
  network.parameters.push_back(w);
  const auto u = upper.detach(), l = lower.detach();
  return {network.parameters,
          own,
          {lower, upper},
          {2 * l.exp(), 4 * u.pow(3)},
          {(2 * l.exp()).reshape(-1).diag(), (12 * u.pow(2)).reshape(-1).diag()}};
}

const std::vector<NestedCase> kCases = {
    {"AuxiliaryCrossEntropy", auxiliary_cross_entropy},
    {"ChainOfThree", chain_of_three},
    {"AuxiliaryOfWeightZero", auxiliary_of_weight_zero},
    {"VariationalAutoencoder", variational_autoencoder},
    {"MarkBelowAMark", mark_below_a_mark},
};

struct NestedTerms : ::testing::TestWithParam<NestedCase> {
  Nested nested = GetParam().make();
  LossGraph graph = LossGraph(nested.loss, nested.parameters);
};

TEST_P(NestedTerms, FindsEachOutputOnce) { EXPECT_EQ(graph.outputs(), nested.z.size()); }

TEST_P(NestedTerms, EachTermCountsWithItsOwnCoefficient) {
  const auto actual = term_gradients(graph, nested.z);
  EXPECT_LT(relative_error(actual, flat(nested.gradients)), kRounding);
}

TEST_P(NestedTerms, HessiansHoldTheOtherTermsInputsFixed) {
  const auto expected = block_diagonal(nested.hessians);
  EXPECT_LT(relative_error(dense_loss_hessian(graph, nested.z), expected), kRounding);
}

TEST_P(NestedTerms, GradientOfTheWholeLoss) {
  const auto expected = gradient_of(nested.loss, nested.parameters);
  EXPECT_LT(relative_error(graph.gradient(), expected), kRounding);
}

TEST_P(NestedTerms, GaussNewtonSumsOverAllTerms) {
  auto expected =
      torch::zeros({graph.parameters().size(), graph.parameters().size()}, torch::kDouble);
  for (size_t k = 0; k < nested.z.size(); ++k) {
    const auto j = jacobian(nested.z[k], nested.parameters);
    expected += j.t().mm(nested.hessians[k]).mm(j);
  }
  EXPECT_LT(relative_error(dense(gauss_newton(graph)), expected), kRounding);
}

INSTANTIATE_TEST_SUITE_P(Losses, NestedTerms, ::testing::ValuesIn(kCases), ByName());

}  // namespace
}  // namespace natgrad::testing::nested_terms_test
