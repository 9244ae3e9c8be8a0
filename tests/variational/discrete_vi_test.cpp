#include <natgrad/variational/discrete_vi.h>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::discrete_vi_test {
namespace {

// A few sums over some dozen states in double.
constexpr double kRounding = 1e-12;
// At a fixed point that was iterated to, the same over the condition of g.
constexpr double kConverged = 1e-9;

/// All {±1}ⁿ, [2ⁿ, n].
Tensor spins(int64_t n) {
  const auto number = torch::arange(int64_t{1} << n).unsqueeze(1);
  const auto bits = number.bitwise_right_shift(torch::arange(n)).bitwise_and(1);
  return 2 * bits.to(torch::kDouble) - 1;
}

/// log p = ½ xᵀJx + hᵀx of spins with random couplings, up to log Z.
struct Ising {
  int64_t n = 5;
  Tensor x = spins(n), h = 0.4 * randn({n}, 1), J = 0.3 * symmetric(randn({n, n}, 2));

  static Tensor symmetric(const Tensor& a) {
    const auto s = a + a.t();
    return s - torch::diag(s.diagonal());
  }
  Tensor log_p() const { return 0.5 * (x.mm(J) * x).sum(1) + x.mv(h); }
};

/// A curved family: log q of 32 states with 4 parameters.
Tensor curved(const Tensor& theta) {
  const auto T = randn({32, 4}, 3);
  return T.mm(theta.tanh().unsqueeze(1)).squeeze(1) + T.select(1, 0) * theta.square().sum();
}

// ---- Metric and gradient. ----

TEST(DiscreteVITest, HasTheFisherMatrixAndTheGradientOfTheDivergence) {
  const auto theta = randn({4}, 4).requires_grad_();
  const Ising ising;
  const DiscreteVI vi(ising.log_p(), curved, theta);
  // State by state.
  const auto log_q = curved(theta) - curved(theta).logsumexp(0);
  auto g = torch::zeros({4, 4}, torch::kDouble);
  for (int64_t k = 0; k < 32; ++k) {
    const auto score = gradient_of(log_q[k], {theta});
    g += (log_q[k].exp() * score.outer(score)).detach();
  }
  EXPECT_LT(relative_error(dense(vi.fisher()), g), kRounding);
  const auto log_p = ising.log_p() - ising.log_p().logsumexp(0);
  const auto divergence = (log_q.exp() * (log_q - log_p)).sum();
  EXPECT_LT(relative_error(vi.gradient(), gradient_of(divergence, {theta})), kRounding);
  EXPECT_NEAR(vi.divergence(), divergence.item<double>(), kRounding);
  EXPECT_NEAR(vi.elbo() + vi.divergence(), ising.log_p().logsumexp(0).item<double>(), kRounding);
  EXPECT_LT(relative_error(vi.probabilities(), log_q.exp()), kRounding);
}

TEST(DiscreteVITest, TheMetricIsThatOfTheDivergenceBetweenNeighbours) {
  // D(q_θ‖q_{θ+εd}) = ½ε² dᵀgd + O(ε³); the blog post prints it without the ½.
  const auto theta = randn({4}, 4), d = randn({4}, 5);
  const DiscreteVI vi(Ising().log_p(), curved, theta);
  const double half = 0.5 * d.dot(vi.fisher().multiply(d)).item<double>();
  const auto rest = [&](double eps) {
    const auto q = curved(theta).log_softmax(0), other = curved(theta + eps * d).log_softmax(0);
    return std::abs((q.exp() * (q - other)).sum().item<double>() / (eps * eps) - half);
  };
  EXPECT_NEAR(std::log2(rest(2e-3) / rest(1e-3)), 1, 0.05);
  EXPECT_LT(rest(1e-3), 0.01 * half);
}

TEST(DiscreteVITest, AStepIsTheNaturalGradient) {
  const auto theta = randn({4}, 4);
  const auto log_p = curved(theta) + 0.01 * randn({32}, 10);  // near: no step is halved
  for (const double damping : {0., 0.3}) {
    DiscreteVI vi(log_p, curved, theta, DiscreteVIOptions().rate(0.1).damping(damping));
    const auto A = dense(vi.fisher()) + damping * torch::eye(4, torch::kDouble);
    const auto expected = theta - 0.1 * torch::linalg_solve(A, vi.gradient());
    const auto before = vi.elbo();
    const auto& summary = vi.step();
    EXPECT_EQ(summary.outcome, VariationalOutcome::Accepted);
    EXPECT_EQ(summary.shortening, 1);
    EXPECT_EQ(summary.elbo, before);
    EXPECT_LT(relative_error(vi.theta(), expected), 100 * kRounding);  // g's condition
  }
}

// ---- Where theory says what it finds. ----

TEST(DiscreteVITest, AFamilyThatHoldsPIsThereInOneStep) {
  const Ising ising;
  // By one logit for each state, redundant by one: g is singular.
  DiscreteVI logits(
      ising.log_p(), [](const Tensor& theta) { return theta * 1.; }, randn({32}, 6));
  logits.step();
  EXPECT_LT(logits.divergence(), kRounding);
  EXPECT_LT(relative_error(logits.probabilities(), ising.log_p().softmax(0)), kRounding);
  // By fields and couplings, as p is made.
  const auto pairs = torch::triu_indices(5, 5, 1);
  const auto x = ising.x;
  const auto statistics =
      torch::cat({x, x.index_select(1, pairs[0]) * x.index_select(1, pairs[1])}, 1);
  DiscreteVI couplings(
      ising.log_p(), [&](const Tensor& theta) { return statistics.mv(theta); },
      0.1 * randn({15}, 7));
  couplings.step();
  const auto expected = torch::cat({ising.h, ising.J.index({pairs[0], pairs[1]})});
  EXPECT_LT(relative_error(couplings.theta(), expected), 1e3 * kRounding);  // R's condition
}

TEST(DiscreteVITest, OfIndependentSpinsIsMeanFieldTheory) {
  const Ising ising;
  DiscreteVI vi(
      ising.log_p(), [&](const Tensor& h) { return ising.x.mv(h); },
      torch::zeros({5}, torch::kDouble), DiscreteVIOptions().rate(0.5));
  double before = -INFINITY;
  for (int k = 0; k < 300; ++k) {
    EXPECT_GE(vi.step().elbo, before - kRounding);
    before = vi.summary().elbo;
  }
  // m = tanh(h + J m).
  const auto m = vi.probabilities().matmul(ising.x);
  EXPECT_LT(relative_error(m, (ising.h + ising.J.mv(m)).tanh()), kConverged);
  EXPECT_GT(vi.divergence(), 0.01);  // p's spins are not independent
}

TEST(DiscreteVITest, UnitsDoNotMatter) {
  const Ising ising;
  const auto scale = torch::tensor({1., 100., 0.01, 7., 1e3}, torch::kDouble);
  const auto start = 0.2 * randn({5}, 8);
  DiscreteVI plain(
      ising.log_p(), [&](const Tensor& h) { return ising.x.mv(h); }, start);
  DiscreteVI scaled(
      ising.log_p(), [&](const Tensor& h) { return ising.x.mv(h / scale); }, start * scale);
  for (int k = 0; k < 5; ++k) {
    plain.step();
    scaled.step();
    EXPECT_LT(relative_error(scaled.theta() / scale, plain.theta()), kConverged);
  }
}

TEST(DiscreteVITest, AStepThatGoesTooFarIsHalved) {
  // The linear fit overshoots where log q is curved, and p is far.
  DiscreteVI vi(Ising().log_p(), curved, randn({4}, 4));
  double smallest = 1, before = vi.elbo();
  for (int k = 0; k < 20; ++k) {
    ASSERT_EQ(vi.step().outcome, VariationalOutcome::Accepted);
    smallest = std::min(smallest, vi.summary().shortening);
    EXPECT_GE(vi.elbo(), before - kRounding * std::abs(before));
    before = vi.elbo();
  }
  EXPECT_LT(smallest, 1);
  EXPECT_EQ(vi.steps(), 20);
}

TEST(DiscreteVITest, WorksInFloat32) {
  const Ising ising;
  const auto x = ising.x.to(torch::kFloat);
  DiscreteVI vi(
      ising.log_p(), [&](const Tensor& h) { return x.mv(h); }, torch::zeros({5}),
      DiscreteVIOptions().rate(0.5));
  for (int k = 0; k < 150; ++k) vi.step();
  EXPECT_EQ(vi.theta().scalar_type(), torch::kFloat);
  const auto m = vi.probabilities().matmul(ising.x);
  EXPECT_LT(relative_error(m, (ising.h + ising.J.mv(m)).tanh()), 1e-4);  // √ of its rounding
}

TEST(DiscreteVITest, WhatIsNotFiniteIsRefused) {
  const auto log_q = [](const Tensor& theta) {
    return torch::stack({theta[0].log(), theta[0].log() * 2});
  };
  const auto log_p = torch::zeros({2}, torch::kDouble);
  DiscreteVI vi(log_p, log_q, torch::full({1}, -1., torch::kDouble));
  EXPECT_EQ(vi.step().outcome, VariationalOutcome::NonFinite);
  EXPECT_EQ(vi.theta().item<double>(), -1);
  EXPECT_EQ(vi.steps(), 0);
}

TEST(DiscreteVITest, MalformedArgumentsThrow) {
  const Ising ising;
  const auto fields = [&](const Tensor& h) { return ising.x.mv(h); };
  const auto zero = torch::zeros({5}, torch::kDouble);
  const auto log_p = ising.log_p();
  const auto with = [&](const DiscreteVIOptions& options) {
    return [=] { DiscreteVI(log_p, fields, zero, options); };
  };
  expect_error(with(DiscreteVIOptions().rate(0)), "(0, 1]");
  expect_error(with(DiscreteVIOptions().rate(std::nan(""))), "(0, 1]");
  expect_error(with(DiscreteVIOptions().damping(-1)), ">= 0");
  expect_error([&] { DiscreteVI(log_p, nullptr, zero); }, "needs log q");
  expect_error([&] { DiscreteVI(log_p / 0., fields, zero); }, "finite");
  expect_error([&] { DiscreteVI(log_p.narrow(0, 0, 4), fields, zero); }, "4 states");
  expect_error([&] { DiscreteVI(log_p, fields, torch::zeros({5}, torch::kLong)); }, "[P]");
  DiscreteVI detached(
      log_p, [&](const Tensor& h) { return ising.x.mv(h.detach()); }, zero);
  expect_error([&] { detached.step(); }, "no graph");
}

}  // namespace
}  // namespace natgrad::testing::discrete_vi_test
