#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/exp_loss.h>

#include <cmath>
#include <numbers>

#include "support/dense_oracles.h"
#include "support/user_losses.h"

namespace natgrad::testing::exp_loss_test {
namespace {

constexpr double kPi = std::numbers::pi;
// Quadrature that stops when one more halving of the step changes less than 1e-11.
constexpr double kExact = 1e-12;
// The digits of the figures that the theory gives.
constexpr double kFigures = 5e-6;

Tensor numbers(std::vector<double> values) { return torch::tensor(values, torch::kDouble); }

Tensor power_loss(const Tensor& y, const Tensor& z) { return (y - z).abs().pow(1.5); }
Tensor hinge_loss(const Tensor& y, const Tensor& z) { return torch::relu(1 - y * z); }
Tensor two_wells(const Tensor& y, const Tensor& z) { return 0.5 * (y.square() - z).square(); }
Tensor pinball_loss(const Tensor& y, const Tensor& z) {
  return torch::maximum(0.2 * (y - z), -0.8 * (y - z));
}

/// Z, from what L and log r differ by.
double normaliser(const ExpLoss::Loss& loss, const Tensor& z, const Domain& domain) {
  const auto log_prob = ExpLoss(z, loss, domain).log_prob(z);
  const auto log_z = -loss(z, z) - log_prob;
  EXPECT_LT((log_z - log_z[0]).abs().max().item<double>(), kExact);
  return log_z[0].exp().item<double>();
}

TEST(ExpLossTest, NormalisersHaveTheFiguresOfTheTheory) {
  const auto z = numbers({-1, 0, 2});
  const auto line = Domain::real_line();
  const auto log_cosh = [](const Tensor& y, const Tensor& z) { return torch::cosh(y - z).log(); };
  EXPECT_NEAR(normaliser(square_loss, z, line), 2.50663, kFigures);
  EXPECT_NEAR(normaliser(power_loss, z, line), 1.80549, kFigures);
  EXPECT_NEAR(normaliser(log_cosh, z, line), kPi, kFigures);
}

TEST(ExpLossTest, ANormaliserThatIsNotConstantThrowsWithTheFigures) {
  const auto z = numbers({-1, 0, 2});
  const auto hinge = [&] { ExpLoss likelihood(z, hinge_loss, Domain::values({-1, 1})); };
  expect_error(hinge, "not constant");
  expect_error(hinge, "0.735759 at z = 0, 1.13534 at z = -1");
  expect_error(
      [&] {
        ExpLoss(numbers({2, 0}), hinge_loss, Domain::values({-1, 1}));
      },
      "1.04979 at z = 2");
  const auto wells = [&] { ExpLoss likelihood(z, two_wells); };
  expect_error(wells, "not constant: 0.901493 at z = -1, 2.1558 at z = 0");
  expect_error(wells, "log Z(z)");
  expect_error([&] { ExpLoss(numbers({2, -1}), two_wells); }, "1.99533 at z = 2");
}

TEST(ExpLossTest, ANormaliserThatIsNotFiniteThrowsWithTheFigures) {
  const auto z = numbers({-1, 0, 2});
  const auto logarithm = [](const Tensor& y, const Tensor& z) {
    return torch::log1p((y - z).abs());
  };
  const auto downhill = [](const Tensor& y, const Tensor& z) { return -(y - z).square(); };
  expect_error([&] { ExpLoss likelihood(z, hinge_loss); }, "no finite integral Z");
  expect_error([&] { ExpLoss likelihood(z, logarithm); }, "no finite integral Z");
  expect_error([&] { ExpLoss likelihood(z, downhill); }, "no finite integral Z");
}

// L + log Z(z) has the normaliser 1.
TEST(ExpLossTest, TheHingeLossIsALikelihoodWithItsNormaliserAdded) {
  const auto z = randn({6}, 1);
  const auto loss = [](const Tensor& y, const Tensor& z) {
    const auto both =
        torch::stack({-hinge_loss(torch::ones_like(z), z), -hinge_loss(-torch::ones_like(z), z)});
    return hinge_loss(y, z) + both.logsumexp(0);
  };
  const ExpLoss likelihood(z, loss, Domain::values({-1, 1}));
  const auto p = likelihood.log_prob(torch::ones_like(z)).exp();
  const auto q = likelihood.log_prob(-torch::ones_like(z)).exp();
  EXPECT_LT(relative_error(p + q, torch::ones_like(z)), kExact);
}

TEST(ExpLossTest, IsABernoulliForItsLoss) {
  const auto z = 3 * randn({5}, 1), v = randn({5}, 2);
  const auto y = numbers({0, 1, 1, 0, 1});
  const auto loss = [](const Tensor& y, const Tensor& z) {
    return y * minus_log_sigmoid(z) + (1 - y) * minus_log_sigmoid(-z);
  };
  const ExpLoss exp_loss(z, loss, Domain::values({0, 1}));
  const Bernoulli bernoulli(z);
  EXPECT_TRUE(exp_loss.hessian_is_fisher());
  EXPECT_LT(relative_error(exp_loss.log_prob(y), bernoulli.log_prob(y)), kExact);
  EXPECT_LT(relative_error(exp_loss.score(y), bernoulli.score(y)), kExact);
  EXPECT_LT(relative_error(exp_loss.fisher_multiply(v), bernoulli.fisher_multiply(v)), kExact);
}

TEST(ExpLossTest, LocationFamiliesHaveTheirClosedForms) {
  const auto z = 2 * randn({4}, 1);
  const auto one = torch::ones_like(z);
  const auto information = [&](const ExpLoss::Loss& loss) {
    return ExpLoss(z, loss).fisher_multiply(one);
  };
  EXPECT_LT(relative_error(information(square_loss), one), kExact);
  const double power = 2.25 * std::tgamma(4.0 / 3) / std::tgamma(2.0 / 3);
  EXPECT_LT(relative_error(information(power_loss), power * one), kExact);
  // E[slope²] = τ (1 - τ): the asymmetric Laplace distribution.
  EXPECT_LT(relative_error(information(pinball_loss), 0.16 * one), kExact);
}

// The von Mises distribution of given κ = 2, by its mean: Z = 2π I₀(κ), F = κ I₁(κ)/I₀(κ).
TEST(ExpLossTest, AFullTurnIsTheVonMisesDistribution) {
  const auto z = numbers({-3, 0, 0.5, 3, 100});
  const auto kappa = numbers({2});
  const auto i0 = torch::special::i0(kappa), i1 = torch::special::i1(kappa);
  const ExpLoss likelihood(z, circular_loss, Domain::interval(-kPi, kPi));
  const auto y = numbers({1, 2, -3, 3, 0});
  EXPECT_LT(
      relative_error(likelihood.log_prob(y), 2 * torch::cos(y - z) - torch::log(2 * kPi * i0)),
      kExact);
  EXPECT_LT(
      relative_error(likelihood.fisher_multiply(torch::ones_like(z)), (2 * i1 / i0).expand_as(z)),
      100 * kExact);  // of cosines at 100
}

// Cumulative logits: with P_k = σ(c_k - z), p_k = P_k - P_{k-1}, g = P (1 - P),
// score = P_k + P_{k-1} - 1, H = g_k + g_{k-1}, F = Σ p_k (P_k + P_{k-1} - 1)² = Σ p_k H_k.
TEST(ExpLossTest, OrdinalLabelsHaveTheirClosedForms) {
  const auto z = numbers({-2.5, -0.3, 0.4, 1.9, 4}).requires_grad_();
  const auto domain = Domain::values({0, 1, 2, 3});
  const ExpLoss likelihood(z, ordinal_loss, domain);
  auto by_score = torch::zeros({5}, torch::kDouble), by_hessian = by_score.clone();
  const auto c = ordinal_thresholds();
  for (int k = 0; k < 4; ++k) {
    const auto upper = k < 3 ? torch::sigmoid(c[k] - z.detach()) : torch::ones({5}, torch::kDouble);
    const auto lower = k > 0 ? torch::sigmoid(c[k - 1] - z.detach()) : torch::zeros_like(upper);
    const auto p = upper - lower, score = upper + lower - 1;
    const auto h = upper * (1 - upper) + lower * (1 - lower);
    const auto y = torch::full({5}, k, torch::kDouble);
    EXPECT_LT(relative_error(likelihood.log_prob(y), p.log()), kExact) << k;
    EXPECT_LT(relative_error(likelihood.score(y), score), kExact) << k;
    const auto autograd = hessian(-likelihood.log_prob(y).sum(), {z});
    EXPECT_LT(relative_error(autograd, torch::diag(h)), kExact) << k;
    by_score += p * score.square();
    by_hessian += p * h;
  }
  const auto f = likelihood.fisher_multiply(torch::ones({5}, torch::kDouble));
  EXPECT_LT(relative_error(f, by_score), kExact);
  EXPECT_LT(relative_error(f, by_hessian), kExact);
  EXPECT_FALSE(likelihood.hessian_is_fisher());
}

// More outputs than are held at a time.
TEST(ExpLossTest, ManyOutputsGiveTheSameAsFew) {
  constexpr int64_t kMany = 300;
  const auto z = 3 * randn({kMany}, 1);
  const ExpLoss likelihood(z, pinball_loss);
  EXPECT_LT(
      relative_error(likelihood.fisher_multiply(torch::ones_like(z)), torch::full_like(z, 0.16)),
      kExact);
  const auto below = likelihood.sample(seeded(2)).lt(z).to(torch::kDouble);
  EXPECT_NEAR(below.mean().item<double>(), 0.2, 5 * std::sqrt(0.16 / kMany));
}

TEST(ExpLossTest, SamplesOfLabelsHaveTheirProbabilities) {
  constexpr int64_t kDraws = 40000;
  const auto z = torch::full({kDraws}, 0.4, torch::kDouble);
  const ExpLoss likelihood(z, ordinal_loss, Domain::values({0, 1, 2, 3}));
  const auto y = likelihood.sample(seeded(3));
  for (int k = 0; k < 4; ++k) {
    const double p = likelihood.log_prob(torch::full_like(z, k))[0].exp().item<double>();
    const double deviation = y.eq(k).to(torch::kDouble).mean().item<double>() - p;
    EXPECT_LT(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << k;
  }
}

TEST(ExpLossTest, SamplesOfALineHaveTheDistributionFunction) {
  constexpr int64_t kOutputs = 100, kRepeats = 400, kDraws = kOutputs * kRepeats;
  const auto generator = seeded(3);
  const ExpLoss likelihood(torch::full({kOutputs}, 3.0, torch::kDouble), square_loss);
  std::vector<Tensor> draws;
  for (int k = 0; k < kRepeats; ++k) draws.push_back(likelihood.sample(generator));
  const auto x = torch::cat(draws) - 3.0;
  for (const double t : {-2.5, -1.0, -0.2, 0.0, 0.4, 1.5}) {
    const double p = 0.5 * std::erfc(-t / std::numbers::sqrt2);
    const double deviation = x.le(t).to(torch::kDouble).mean().item<double>() - p;
    EXPECT_LT(std::abs(deviation), 5 * std::sqrt(p * (1 - p) / kDraws)) << t;
  }
}

TEST(ExpLossTest, TargetsOutsideTheDomainAreNamedWithTheirPosition) {
  const auto z = torch::zeros({3}, torch::kDouble);
  const ExpLoss ordinal(z, ordinal_loss, Domain::values({0, 1, 2, 3}));
  expect_error([&] { ordinal.log_prob(numbers({0, 3, 4})); }, "y[2] = 4");
  expect_error(
      [&] {
        ordinal.score(numbers({0, 0.5, 1}));
      },
      "{0, 1, 2, 3} and is finite, but y[1]");
  const ExpLoss circular(z, circular_loss, Domain::interval(-kPi, kPi));
  expect_error([&] { circular.log_prob(numbers({-3, 3.5, 0})); }, "y[1] = 3.5");
  expect_error([&] { ExpLoss(z, square_loss).log_prob(numbers({1, HUGE_VAL, 0})); }, "y[1] = inf");
}

TEST(ExpLossTest, DensitiesThatVanishInTheMiddleThrow) {
  const auto box = [](const Tensor& y, const Tensor& z) {
    return torch::where((y - z).abs() < 1, 0 * z, HUGE_VAL);
  };
  expect_error(
      [&] {
        ExpLoss(numbers({0, 5}), box, Domain::real_line({-1, 0, 1}));
      },
      "is not positive at y = ");
}

TEST(ExpLossTest, LossesThatCannotBeUsedThrow) {
  const auto z = randn({3}, 1);
  const auto scale = torch::ones({}, torch::kDouble).requires_grad_();
  expect_error([&] { ExpLoss(z, [&](auto& y, auto& z) { return scale * square_loss(y, z); }); },
               "require a gradient");
  expect_error([&] { ExpLoss(z, [](auto& y, auto& z) { return square_loss(y, z).sum(); }); },
               "for each element");
  expect_error([&] { ExpLoss(z, [](auto& y, auto& z) { return (y - z).log(); }); },
               "is not a number at y = ");
  expect_error([&] { ExpLoss(z, nullptr); }, "needs a function");
}

TEST(ExpLossTest, DomainsThatAreNoneThrow) {
  expect_error([] { Domain::interval(1, 1); }, "lower < upper");
  expect_error([] { Domain::interval(std::nan(""), 1); }, "lower < upper");
  expect_error([] { Domain::real_line({}); }, "kinks");
  expect_error([] { Domain::values({1, 1}); }, "two different values");
  expect_error([] { Domain::values({0, HUGE_VAL}); }, "finite");
}

// A loss after a step too large is not finite, and is for the optimizer to judge.
TEST(ExpLossTest, OutputsThatAreNotFiniteAreLeftOut) {
  const auto z = numbers({1, std::nan(""), 2});
  const ExpLoss likelihood(z, square_loss);
  const auto log_prob = likelihood.log_prob(numbers({1, 1, 1}));
  EXPECT_NEAR(log_prob[0].item<double>(), -0.5 * std::log(2 * kPi), kExact);
  EXPECT_TRUE(log_prob[1].isnan().item<bool>());
  EXPECT_NO_THROW(ExpLoss(numbers({std::nan(""), HUGE_VAL}), square_loss));
  EXPECT_EQ(ExpLoss(torch::zeros({0}), square_loss).sample(seeded(1)).numel(), 0);
}

TEST(ExpLossTest, ProductsFollowOutputsThatAreChangedInPlace) {
  const auto domain = Domain::values({0, 1, 2, 3});
  const auto z = randn({3}, 1), v = torch::ones({3}, torch::kDouble);
  const ExpLoss likelihood(z, ordinal_loss, domain);
  likelihood.fisher_multiply(v);
  z.add_(1);
  EXPECT_TRUE(identical(likelihood.fisher_multiply(v),
                        ExpLoss(z.clone(), ordinal_loss, domain).fisher_multiply(v)));
}

TEST(ExpLossTest, TextTellsLossesApart) {
  const auto z = randn({3}, 1);
  EXPECT_EQ(ExpLoss(z, square_loss).describe(), ExpLoss(z, square_loss).describe());
  EXPECT_NE(ExpLoss(z, square_loss).describe(), ExpLoss(z, power_loss).describe());
  EXPECT_NE(ExpLoss(z, circular_loss, Domain::interval(-kPi, kPi)).describe(),
            ExpLoss(z, circular_loss, Domain::interval(0, 2 * kPi)).describe());
}

}  // namespace
}  // namespace natgrad::testing::exp_loss_test
