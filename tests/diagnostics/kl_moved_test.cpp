#include <natgrad/diagnostics/kl_moved.h>

#include <natgrad/likelihoods/poisson.h>

#include "theory/small_network.h"

namespace natgrad::testing::kl_moved_test {
namespace {

namespace F = torch::nn::functional;

// Sums of a few dozen terms in double.
constexpr double kRounding = 1e-12;

struct KLMovedTest : ::testing::Test {
  const SmallNetwork network{811, 7, 3};
  const Tensor d = 0.2 * randn(network.theta().sizes(), 8111);
  const Tensor z = network.forward().detach();
  const Tensor moved = network.forward_at(network.theta() + d);

  /// Of a loss of the outputs, at θ and, in place, at θ + d.
  template <class Loss>
  KLMoved between(Loss loss, FisherWeights weights = FisherWeights::Uniform) const {
    const LossGraph before(loss(network.forward()), network.parameters);
    const auto pieces = network.pieces(d);
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < pieces.size(); ++i) network.parameters[i].add_(pieces[i]);
    const torch::AutoGradMode with_graph(true);
    const LossGraph after(loss(network.forward()), network.parameters);
    const auto result = kl_moved(before, after, weights);
    const torch::NoGradGuard again;
    for (size_t i = 0; i < pieces.size(); ++i) network.parameters[i].sub_(pieces[i]);
    return result;
  }
  static Tensor classes(const Tensor& a, const Tensor& b) {
    const auto p = a.log_softmax(1), q = b.log_softmax(1);
    return (p.exp() * (p - q)).sum(1);
  }
  static void expect_near(const KLMoved& kl, const Tensor& before_after,
                          const Tensor& after_before) {
    EXPECT_NEAR(kl.before_after / number(before_after), 1, kRounding);
    EXPECT_NEAR(kl.after_before / number(after_before), 1, kRounding);
  }
};

TEST_F(KLMovedTest, IsTheMeanOverExamplesBothWays) {
  const auto loss = [&](const Tensor& out) { return F::cross_entropy(out, network.labels); };
  expect_near(between(loss), classes(z, moved).mean(), classes(moved, z).mean());
}

TEST_F(KLMovedTest, DoesNotDependOnTheLosssFactorUnlessAskedTo) {
  const auto sum = F::CrossEntropyFuncOptions().reduction(torch::kSum);
  const auto loss = [&](const Tensor& out) {
    return 3 * F::cross_entropy(out, network.labels, sum);
  };
  expect_near(between(loss), classes(z, moved).mean(), classes(moved, z).mean());
  expect_near(between(loss, FisherWeights::OfTheLoss), 3 * classes(z, moved).sum(),
              3 * classes(moved, z).sum());
}

TEST_F(KLMovedTest, TakesTheLosssWeightsWhereAskedTo) {
  const auto w = torch::tensor({0.5, 2., 1.}, torch::kDouble);
  const auto s = w.index_select(0, network.labels) / w.index_select(0, network.labels).sum();
  const auto loss = [&](const Tensor& out) {
    return F::cross_entropy(out, network.labels, F::CrossEntropyFuncOptions().weight(w));
  };
  expect_near(between(loss, FisherWeights::OfTheLoss), s.dot(classes(z, moved)),
              s.dot(classes(moved, z)));
}

TEST_F(KLMovedTest, AddsUpHeads) {
  const auto loss = [&](const Tensor& out) {
    return F::cross_entropy(out.narrow(1, 0, 2), network.labels.clamp_max(1)) +
           0.1 * nll(Poisson(out.select(1, 2)), network.labels);
  };
  const auto both = [&](const Tensor& a, const Tensor& b) {
    const auto x = a.select(1, 2), y = b.select(1, 2);
    return (classes(a.narrow(1, 0, 2), b.narrow(1, 0, 2)) + x.exp() * (x - y) - x.exp() + y.exp())
        .mean();
  };
  expect_near(between(loss), both(z, moved), both(moved, z));
}

TEST_F(KLMovedTest, CountsTheOutputsOfAnExampleTogether) {
  const auto half = 0.5 * (z - moved).square().sum(1).mean();
  const auto loss = [&](const Tensor& out) { return F::mse_loss(out, network.targets); };
  expect_near(between(loss), half, half);  // unit variance, whatever the factor
  const auto of_the_loss = (z - moved).square().mean();
  expect_near(between(loss, FisherWeights::OfTheLoss), of_the_loss, of_the_loss);
}

// KL of N(μ, v) and N(μ', v') as a whole, though mean and spread are two terms.
TEST_F(KLMovedTest, OfALearntSpreadWrittenByHandIsThatOfTheGaussian) {
  const auto kl = [](const Tensor& a, const Tensor& b) {
    const auto v = a.select(1, 1).exp(), w = b.select(1, 1).exp();
    return (0.5 * (v / w - 1 - (v / w).log() + (a.select(1, 0) - b.select(1, 0)).square() / w))
        .mean();
  };
  for (const double factor : {1., 5.}) {
    const auto loss = [&](const Tensor& out) {
      const auto r = out.select(1, 0) - network.targets.select(1, 0), log_v = out.select(1, 1);
      return factor * 0.5 * (r.square() * torch::exp(-log_v) + log_v).mean();
    };
    expect_near(between(loss), kl(z, moved), kl(moved, z));
  }
}

TEST_F(KLMovedTest, RefusesWhatHasNoDistributionOrIsAnotherLoss) {
  const auto own = [&](const Tensor& out) { return outputs(out).pow(4).mean(); };
  expect_error([&] { between(own); }, "needs a likelihood");
  const LossGraph one(F::cross_entropy(network.forward(), network.labels), network.parameters);
  const LossGraph other(F::mse_loss(network.forward(), network.targets), network.parameters);
  expect_error([&] { kl_moved(one, other); }, "of one family");
  const auto out = network.forward();
  const LossGraph two(F::cross_entropy(out, network.labels) + F::mse_loss(out, network.targets),
                      network.parameters);
  expect_error([&] { kl_moved(one, two); }, "terms");
}

}  // namespace
}  // namespace natgrad::testing::kl_moved_test
