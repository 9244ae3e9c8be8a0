// ∇h and C of different examples (Martens, "New perspectives", section 11), against dense solves.
#include <natgrad/curvature/metric.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/likelihoods/bernoulli.h>

#include "theory/small_network.h"

namespace natgrad::testing::mixed_batches_test {
namespace {

// Promises of dense solves whose condition is up to 1e5.
constexpr double kSolve = 1e-6;

/// Nearly as many parameters, 13, as examples in each of three batches.
struct MixedBatches : ::testing::Test {
  static constexpr int64_t kExamples = 16, kBatches = 3;
  const SmallNetwork network{701, kExamples* kBatches, 1};

  Tensor slice(const Tensor& t, int64_t k) const { return t.narrow(0, k * kExamples, kExamples); }
  Tensor coins(int64_t k) const { return (slice(network.targets, k) > 0).to(torch::kDouble); }
  Tensor logits(int64_t k) const { return slice(network.forward(), k); }
  const std::function<Tensor(int64_t)> loss = [this](int64_t k) {
    return nll(Bernoulli(logits(k)), coins(k));
  };
  /// By autograd alone.
  Tensor F(int64_t k) const {
    const auto J = jacobian(logits(k), network.parameters);
    const auto p = logits(k).detach().sigmoid().flatten();
    return J.t().mm((p * (1 - p)).unsqueeze(1) * J) / kExamples;
  }
  Tensor g(int64_t k) const { return gradient_of(loss(k), network.parameters); }
};

TEST_F(MixedBatches, AreThoseOfDenseSolves) {
  const double lambda = 0.01;
  const auto report = mixed_batches(network.parameters, loss, kBatches, lambda);
  ASSERT_EQ(report.pairs.size(), 6);
  const auto I = lambda * torch::eye(13, torch::kDouble);
  for (const auto& pair : report.pairs) {
    const auto k = pair.gradient, l = pair.curvature;
    const auto same = -torch::linalg_solve(F(k) + I, g(k));
    const auto mixed = -torch::linalg_solve(F(l) + I, g(k));
    const auto promise = [&](const Tensor& C, const Tensor& d) {
      return number(g(k).dot(d) + 0.5 * d.dot(C.mv(d)));
    };
    EXPECT_NEAR(pair.same / promise(F(k), same), 1, kSolve);
    EXPECT_NEAR(pair.mixed / promise(F(l), mixed), 1, kSolve);
    EXPECT_NEAR(pair.growth / number(mixed.norm() / same.norm()), 1, kSolve);
    const auto r = (logits(k) * (2 * coins(k) - 1)).detach().sigmoid();
    EXPECT_NEAR(pair.bound / number(-0.5 * ((1 - r) / r).mean()), 1, kSolve);
  }
}

// F of [2, 2] and rank 1: with λ > 0 what a gradient has outside its range is divided by λ.
TEST_F(MixedBatches, AreDampedOutsideTheRangeToo) {
  const double lambda = 0.1;
  const auto w = torch::tensor({0.3, -0.2}, torch::kDouble).requires_grad_();
  const auto along = [&](int64_t k) {
    return nll(Gaussian(w.narrow(0, k, 1).unsqueeze(0)), torch::ones({1, 1}, torch::kDouble));
  };
  const auto report = mixed_batches({w}, along, 2, lambda);
  for (const auto& pair : report.pairs) {
    const double g = w[pair.gradient].item<double>() - 1;
    EXPECT_NEAR(pair.same / (-g * g / (1 + lambda) + 0.5 * g * g / std::pow(1 + lambda, 2)), 1,
                kSolve);
    EXPECT_NEAR(pair.mixed / (-g * g / lambda), 1, kSolve);
    EXPECT_NEAR(pair.growth, (1 + lambda) / lambda, kSolve * pair.growth);
  }
}

TEST_F(MixedBatches, BreakTheBoundAndMakeLongSteps) {
  const auto report = mixed_batches(network.parameters, loss, kBatches);
  EXPECT_TRUE(report.holds) << report.message();
  EXPECT_EQ(report.same_below, 0);
  EXPECT_GE(report.mixed_below, 4) << report.message();
  EXPECT_GT(report.largest_growth, 3) << report.message();
  EXPECT_LE(report.median_growth, report.largest_growth);
}

TEST_F(MixedBatches, FailWhereTheMatrixIsTooSmallOnOneBatch) {
  const Metric twentieth("F/20", [](const LossGraph& graph) { return 0.05 * fisher(graph); });
  const auto report = mixed_batches(network.parameters, loss, kBatches, 0, twentieth);
  EXPECT_FALSE(report.holds) << report.message();
  EXPECT_GT(report.same_below, 0);
}

TEST_F(MixedBatches, AreRefusedWithAReason) {
  expect_error([&] { mixed_batches(network.parameters, loss, 1); }, "at least two batches");
  expect_error([&] { mixed_batches(network.parameters, loss, 2, -1); }, "finite λ >= 0");
  const auto many = torch::zeros({3000, 1}, torch::kDouble).requires_grad_();
  const auto of_many = [&](int64_t k) {
    return nll(Gaussian(randn({2, 3000}, k).mm(many)), randn({2, 1}, 9));
  };
  expect_error([&] { mixed_batches({many}, of_many, 2); }, "P <= 2048");
}

}  // namespace
}  // namespace natgrad::testing::mixed_batches_test
