// TONGA as it goes along with the batches: LowRank with a decay, C_t = γ C_{t-1} + F̄_t (Le Roux,
// Manzagol & Bengio 2007).

#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/preconditioners/low_rank.h>
#include <natgrad/solvers/approximate_inverse.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::online_tonga_test {
namespace {

namespace F = torch::nn::functional;

// Of solutions of systems of condition 1e4 or less, in double.
constexpr double kSolved = 1e-10;
constexpr double kLambda = 1e-2, kDecay = 0.7;
constexpr int64_t kInputs = 3, kClasses = 4, kSize = kInputs * kClasses, kN = 5;

/// A linear classifier; batch t is of t alone.
struct Classifier {
  Tensor w = parameter({kClasses, kInputs}, 1);

  static Tensor inputs(int64_t t) { return randn({kN, kInputs}, 100 + t); }
  static Tensor labels(int64_t t) {
    return torch::randint(kClasses, {kN}, seeded(200 + t), torch::TensorOptions(torch::kLong));
  }
  Tensor loss(int64_t t) const { return F::cross_entropy(inputs(t).mm(w.t()), labels(t)); }
  LossGraph graph(int64_t t) const { return LossGraph(loss(t), {w}); }

  /// (1/N) Σ g gᵀ of a batch, gradient by gradient.
  Tensor empirical_fisher(int64_t t) const {
    auto sum = torch::zeros({kSize, kSize}, torch::kDouble);
    for (int64_t i = 0; i < kN; ++i) {
      const auto z = inputs(t).narrow(0, i, 1).mm(w.t());
      const auto g = gradient_of(F::cross_entropy(z, labels(t).narrow(0, i, 1)), {w});
      sum += (g.outer(g) / kN).detach();
    }
    return sum;
  }
};

/// The best approximation of rank k of a symmetric matrix.
Tensor of_rank(const Tensor& matrix, int64_t k) {
  const auto [values, vectors] = torch::linalg_eigh(matrix);
  const auto kept = vectors.narrow(1, kSize - k, k);
  return (kept * values.narrow(0, kSize - k, k)).mm(kept.t());
}

/// The discounted covariance as dense matrices.
struct DenseCovariance {
  int64_t rank;
  Tensor sum = torch::zeros({kSize, kSize}, torch::kDouble);
  double weight = 0;

  void add(const Tensor& batch) {
    sum = of_rank(kDecay * sum + batch, rank);
    weight = kDecay * weight + 1;
  }
  Tensor damped() const { return sum / weight + kLambda * torch::eye(kSize, torch::kDouble); }
};

LowRank online(int64_t rank) { return LowRank().rank(rank).decay(kDecay); }

TEST(OnlineTongaTest, IsTheInverseOfTheDiscountedCovariance) {
  // With enough rank for all gradients, and with the four leading eigenvectors of each step.
  for (const int64_t rank : {kSize, int64_t{4}}) {
    const Classifier model;
    auto tonga = online(rank);
    DenseCovariance expected{rank};
    for (int64_t t = 0; t < 6; ++t) {
      tonga.observe(model.graph(t), kLambda);
      expected.add(model.empirical_fisher(t));
      const auto M = dense(tonga.at(model.graph(t), kLambda));
      EXPECT_LT(relative_error(M, torch::linalg_inv(expected.damped())), kSolved) << t;
    }
  }
}

TEST(OnlineTongaTest, OfTheFirstBatchItIsThatBatch) {
  const Classifier model;
  auto tonga = online(kSize);
  const auto alone = dense(LowRank().at(model.graph(0), kLambda));
  EXPECT_LT(relative_error(dense(tonga.at(model.graph(0), kLambda)), alone), kSolved);
  tonga.observe(model.graph(0), kLambda);
  EXPECT_LT(relative_error(dense(tonga.at(model.graph(0), kLambda)), alone), kSolved);
}

TEST(OnlineTongaTest, StepsAreThoseOfLeRoux) {
  // θ ← θ - α (C_t + λI)⁻¹∇h.
  constexpr double kRate = 0.3;
  Classifier model;
  NaturalGradient optimizer({model.w}, NaturalGradientOptions(kRate)
                                           .damping(Tikhonov(kLambda))
                                           .solver(ApproximateInverse())
                                           .preconditioner(online(4)));
  DenseCovariance covariance{4};
  for (int64_t t = 0; t < 5; ++t) {
    covariance.add(model.empirical_fisher(t));
    const auto g = gradient_of(model.loss(t), {model.w});
    const auto expected =
        model.w.detach().flatten() - kRate * torch::linalg_solve(covariance.damped(), g);
    optimizer.step(model.loss(t));
    ASSERT_EQ(optimizer.summary().outcome, StepOutcome::Accepted);
    EXPECT_LT(relative_error(model.w.detach().flatten(), expected), kSolved) << t;
  }
}

TEST(OnlineTongaTest, GoesOnFromItsState) {
  const Classifier model;
  auto tonga = online(4);
  for (int64_t t = 0; t < 3; ++t) tonga.observe(model.graph(t), kLambda);
  auto other = online(4);
  other.set_state(tonga.state());
  for (auto* each : {&tonga, &other}) each->observe(model.graph(3), kLambda);
  EXPECT_TRUE(identical(dense(tonga.at(model.graph(3), kLambda)),
                        dense(other.at(model.graph(3), kLambda))));
  EXPECT_TRUE(online(4).state().empty());
}

TEST(OnlineTongaTest, OfOtherParametersStartsAnew) {
  const Classifier model, next;
  auto tonga = online(4), fresh = online(4);
  tonga.observe(model.graph(0), kLambda);
  // Of the same shape, but others; and after loading, of another shape.
  tonga.observe(next.graph(1), kLambda);
  fresh.observe(next.graph(1), kLambda);
  EXPECT_TRUE(
      identical(dense(tonga.at(next.graph(1), kLambda)), dense(fresh.at(next.graph(1), kLambda))));
  const auto w = parameter({kClasses, kInputs + 1}, 2);
  const auto x = randn({kN, kInputs + 1}, 3);
  const LossGraph wider(F::cross_entropy(x.mm(w.t()), Classifier::labels(0)), {w});
  expect_error([&] { tonga.at(wider, kLambda); }, "has observed a model of 12 parameters");
  auto loaded = online(4), alone = online(4);
  loaded.set_state(tonga.state());
  for (auto* each : {&loaded, &alone}) each->observe(wider, kLambda);
  EXPECT_TRUE(identical(dense(loaded.at(wider, kLambda)), dense(alone.at(wider, kLambda))));
}

TEST(OnlineTongaTest, LeavesOutWhatIsNotFinite) {
  const Classifier model;
  auto tonga = online(4);
  tonga.observe(model.graph(0), kLambda);
  const auto before = dense(tonga.at(model.graph(0), kLambda));
  const auto bad = Classifier::inputs(1).index_put_({2, 0}, std::nan(""));
  tonga.observe(LossGraph(F::cross_entropy(bad.mm(model.w.t()), Classifier::labels(1)), {model.w}),
                kLambda);
  EXPECT_TRUE(identical(dense(tonga.at(model.graph(0), kLambda)), before));
}

TEST(OnlineTongaTest, UnusableSettingsThrow) {
  const auto graph = Classifier().graph(0);
  for (const double decay : {1., -0.1, std::nan("")}) {
    expect_error([&] { LowRank().rank(2).decay(decay).at(graph, 1); }, "in [0, 1)");
  }
  expect_error([&] { LowRank().decay(0.5).clone(); }, ".rank(k)");
  expect_error([&] { online(4).set_state({torch::zeros({1})}); }, "not a state of LowRank");
  auto tonga = online(4);
  tonga.observe(graph, kLambda);
  expect_error([&] { LowRank().set_state(tonga.state()); }, "not a state of LowRank");
  EXPECT_NE(online(4).describe(), LowRank().rank(4).describe());
}

}  // namespace
}  // namespace natgrad::testing::online_tonga_test
