// Steps by the rows of score rows: those of explicit matrices, and those of the road by products.

#include <natgrad/curvature/fisher_or_gauss_newton.h>
#include <natgrad/damping/tikhonov.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/poisson.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/solvers/cholesky.h>

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/oracles.h"
#include "support/plain_held_out_rate.h"
#include "support/training.h"

namespace natgrad::testing::row_steps_test {
namespace {

namespace F = torch::nn::functional;

// Direct solves of condition below 1e3 in double, and the growth of their errors over the steps.
constexpr double kSolved = 1e-8;
constexpr int64_t kSteps = 60;  // beyond the fifty before which HeldOutRate learns nothing

/// Of a softmax classifier's batch: R and t, from the examples' Jacobians one by one, with
/// RᵢᵀRᵢ = s Jᵢᵀ g gᵀ Jᵢ/(gᵀF_R⁻g) and ∇h = -Rᵀt.
struct DenseRows {
  Tensor R, t;

  DenseRows(const Tensor& z, const Tensor& labels, const std::vector<Tensor>& parameters) {
    const auto N = z.size(0), K = z.size(1);
    const auto J = jacobian(z, parameters);
    std::vector<Tensor> rows, targets;
    for (int64_t i = 0; i < N; ++i) {
      const auto p = z[i].detach().softmax(0);
      const auto score = torch::eye(K, torch::kDouble)[labels[i].item<int64_t>()] - p;
      const auto F_R = p.diag() - p.outer(p);
      const auto c = score.dot(torch::linalg_pinv(F_R, 1e-12).mv(score)).sqrt();
      const auto root = std::sqrt(1. / static_cast<double>(N));
      rows.push_back(root * J.narrow(0, i * K, K).t().mv(score / c));
      targets.push_back(root * c);
    }
    R = torch::stack(rows);
    t = torch::stack(targets);
  }
  /// Σ sᵢ‖Rᵢ‖²/Σ s, with equal weights.
  double noise() const { return R.square().sum(1).mean().item<double>(); }
};

/// The default method on explicit matrices.
struct DenseDefault {
  double decay;
  Tensor theta;
  Tensor previous = {}, memory = {};
  double lambda = 0;
  PlainHeldOutRate rule = {};
  Tensor gradient = {};

  void step(const DenseRows& rows, int64_t k) {
    const auto identity = torch::eye(theta.numel(), torch::kDouble);
    lambda = k == 0 ? rows.noise() : 0.95 * lambda + 0.05 * rows.noise();
    const double mu = 1 - 0.05 / (1 + k / 50.);
    const auto C = rows.R.t().mm(rows.R) + decay * identity;
    gradient = decay * theta - rows.R.t().mv(rows.t);
    const auto centre = k == 0 ? torch::zeros_like(theta) : lambda * mu * previous;
    const auto delta = torch::linalg_solve(C + lambda * identity, centre - gradient);
    const auto along = [&](const Tensor& v) -> Along {
      if (!v.defined()) return {};
      return {-gradient.dot(v).item<double>(), v.dot(C.mv(v)).item<double>()};
    };
    const auto [alpha, kept] =
        rule.choose({along(previous), along(memory), along(delta).wanted, memory.defined()}, mu);
    previous = kept * delta;
    const double weight = 1 / (1 + (k + 1) / 2.5);
    memory = k == 0 ? -alpha * delta : (1 - weight) * memory - alpha * delta;
    theta = theta + alpha * delta;
  }
};

struct DefaultByRows : ::testing::TestWithParam<double> {};

TEST_P(DefaultByRows, TakesTheDenseSteps) {
  Training training(NaturalGradientOptions().weight_decay(GetParam()));
  DenseDefault dense{GetParam(), training.theta()};
  for (int64_t k = 0; k < kSteps; ++k) {
    const DenseRows rows(training.outputs(k), Training::labels(k), training.parameters());
    training.good_step();
    dense.step(rows, k);
    const auto& report = training.summary();
    ASSERT_EQ(report.outcome, StepOutcome::Accepted) << report.message();
    EXPECT_EQ(report.curvature, "score rows");
    EXPECT_EQ(report.shortening, 1);
    EXPECT_NEAR(report.lambda, dense.lambda, kSolved * dense.lambda);
    EXPECT_NEAR(report.gradient_norm, dense.gradient.norm().item<double>(), kSolved);
    ASSERT_LT(relative_error(training.theta(), dense.theta), kSolved) << k;
  }
  EXPECT_GT(dense.rule.shrunk + dense.rule.grown, 0);
}

INSTANTIATE_TEST_SUITE_P(WeightDecays, DefaultByRows, ::testing::Values(0., 0.03),
                         [](const auto& info) { return info.index ? "Some" : "None"; });

// ---- The same as by products with the matrix, and Cholesky. ----

/// A loss of z of [12, 4].
struct Family {
  std::string name;
  std::function<Tensor(const Tensor& z)> loss;
};

void PrintTo(const Family& family, std::ostream* out) { *out << family.name; }

std::vector<Family> families() {
  const auto weights = randn({12}, 1).exp();
  return {
      {"Softmax", [](auto& z) { return F::cross_entropy(z, Training::labels(0)); }},
      {"WeightedSoftmax",
       [=](auto& z) {
         return (F::cross_entropy(z, Training::labels(0),
                                  F::CrossEntropyFuncOptions().reduction(torch::kNone)) *
                 weights)
             .sum();
       }},
      {"Binary",
       [](auto& z) {
         const auto y = Training::labels(0).remainder(2).to(torch::kDouble);
         return F::binary_cross_entropy_with_logits(z.select(1, 0), y);
       }},
      {"Squares",
       [](auto& z) { return F::mse_loss(z.select(1, 0), Training::inputs(0).select(1, 0)); }},
      {"Counts",
       [](auto& z) {
         return nll(Poisson(z.select(1, 1)), Training::labels(0).to(torch::kDouble));
       }},
  };
}

struct RowsOrProducts : ::testing::TestWithParam<Family> {
  /// Steps by rows and by products, from one start.
  static void expect_the_same(const NaturalGradientOptions& options) {
    Training rows(options), products(NaturalGradientOptions(options).solver(Cholesky()));
    for (int64_t k = 0; k < 6; ++k) {
      for (auto* run : {&rows, &products}) {
        run->optimizer->step(GetParam().loss(run->outputs(k)));
        ASSERT_EQ(run->summary().outcome, StepOutcome::Accepted) << run->summary().message();
        ASSERT_EQ(run->summary().curvature, "score rows");
      }
      ASSERT_EQ(rows.summary().solver.products, 1);  // by the rows' own factor
      EXPECT_LT(relative_error(rows.theta(), products.theta()), kSolved) << k;
      EXPECT_NEAR(rows.summary().gradient_norm, products.summary().gradient_norm, kSolved);
    }
  }
};

TEST_P(RowsOrProducts, TakeTheSameStepsAtAFixedRate) {
  for (const double decay : {0., 0.05}) {
    expect_the_same(NaturalGradientOptions(0.1).weight_decay(decay));
    expect_the_same(NaturalGradientOptions(0.3).weight_decay(decay).damping(Tikhonov(0.1)));
  }
}

TEST_P(RowsOrProducts, TakeTheSameStepsAtAHeldOutRate) {
  for (const double decay : {0., 0.05}) {
    expect_the_same(NaturalGradientOptions().weight_decay(decay));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, RowsOrProducts, ::testing::ValuesIn(families()), ByName());

// ---- The norm of a gradient that is not formed. ----

TEST(RowStepsTest, TheGradientsNormIsThatOfABackwardPass) {
  constexpr double kRounding = 1e-12;         // a sum over the rows' Gram matrix
  for (const int64_t examples : {12, 500}) {  // with a cheap Gram matrix, and with a dear one
    for (const double decay : {0., 0.1}) {
      const auto w = randn({3, 2}, 2).requires_grad_(), x = randn({examples, 2}, 3);
      const auto y = torch::arange(examples).remainder(3);
      const auto g =
          gradient_of(F::cross_entropy(torch::linear(x, w), y), {w}) + decay * w.detach().flatten();
      NaturalGradient optimizer({w}, NaturalGradientOptions().weight_decay(decay));
      optimizer.step(F::cross_entropy(torch::linear(x, w), y));
      EXPECT_NEAR(optimizer.summary().gradient_norm, g.norm().item<double>(), kRounding);
    }
  }
}

// In float32, where the examples' gradients all but cancel: by rounding alone tᵀRRᵀt is larger.
TEST(RowStepsTest, TheNormOfASmallGradientIsRightInFloat32) {
  constexpr double kPercent = 1e-2;
  const auto x = randn({64, 5}, 5).to(torch::kFloat).to(torch::kDouble);
  const auto y = torch::arange(64).remainder(3);
  const auto w = torch::zeros({3, 5}, torch::kDouble).requires_grad_();
  const auto loss = [&](const Tensor& weights) {
    return F::cross_entropy(torch::linear(x.to(weights.scalar_type()), weights), y);
  };
  NaturalGradient newton({w}, NaturalGradientOptions(1)
                                  .damping(Tikhonov(1e-3))
                                  .solver(Cholesky())
                                  .curvature(FisherOrGaussNewton()));
  for (int k = 0; k < 50; ++k) newton.step(loss(w));
  ASSERT_LT(newton.summary().gradient_norm, 1e-6);
  auto near = (w.detach() + 1e-4 * randn({3, 5}, 6)).to(torch::kFloat).requires_grad_();
  const auto exact = near.detach().to(torch::kDouble).requires_grad_();
  const double expected = gradient_of(loss(exact), {exact}).norm().item<double>();
  NaturalGradient optimizer({near});
  optimizer.step(loss(near));
  EXPECT_EQ(optimizer.summary().curvature, "score rows");
  EXPECT_NEAR(optimizer.summary().gradient_norm / expected, 1, kPercent);
}

// At the minimum of what can be fitted no rows are left, and nothing is to be done.
TEST(RowStepsTest, AGradientOfZeroIsSeen) {
  const auto w = torch::zeros({1, 2}, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({w});
  const auto z = torch::linear(randn({4, 2}, 4), w).squeeze(1);
  optimizer.step(F::mse_loss(z, torch::zeros({4}, torch::kDouble)));
  EXPECT_EQ(optimizer.summary().outcome, StepOutcome::ZeroGradient);
}

}  // namespace
}  // namespace natgrad::testing::row_steps_test
