// The presets: what each source says of its method, on problems small enough to know the answer.

#include <natgrad/damping/levenberg_marquardt.h>
#include <natgrad/graph/marks.h>
#include <natgrad/optim/natural_gradient.h>
#include <natgrad/optim/presets.h>

#include <sstream>

#include "support/dense_oracles.h"
#include "support/oracles.h"
#include "support/snapshot.h"
#include "support/training.h"

namespace natgrad::testing::presets_test {
namespace {

namespace F = torch::nn::functional;

// A tight solve, residual 1e-10, of systems of condition 1e2, over some steps.
constexpr double kTrajectory = 1e-7;

struct Preset {
  std::string name;
  NaturalGradientOptions options;
};

std::vector<Preset> presets_with_trials() {
  return {{"HessianFree", presets::hessian_free()},
          {"KrylovSubspaceDescent", presets::krylov_subspace_descent()},
          {"Kfac", presets::kfac(1)}};
}

/// Poisson-like regression with few parameters: F of full rank, and not the loss's Hessian's twin
/// in shape.
struct LogLinear {
  Tensor w = (0.3 * randn({4, 2}, 1)).requires_grad_();
  Tensor inputs = randn({40, 4}, 2), counts = randn({40, 2}, 3).exp().round();

  Tensor loss() const {
    return F::poisson_nll_loss(inputs.mm(w), counts, F::PoissonNLLLossFuncOptions());
  }
};

TEST(NaturalGradientPresetTest, FollowsTheDenseTrajectory) {
  constexpr double kEpsilon = 0.3;
  LogLinear run;
  NaturalGradient optimizer({run.w}, presets::natural_gradient(kEpsilon));
  Tensor theta = run.w.detach().clone();
  for (int step = 0; step < 10; ++step) {
    optimizer.step(run.loss());
    // F and ∇h of mean(exp(z) - y z), written out.
    const auto rates = run.inputs.mm(theta).exp();
    const auto g = run.inputs.t().mm(rates - run.counts) / 80;
    auto next = theta.clone();
    for (int64_t j = 0; j < 2; ++j) {
      const auto fisher = run.inputs.t().mm(rates.select(1, j).unsqueeze(1) * run.inputs) / 80;
      next.select(1, j) -= kEpsilon * torch::linalg_solve(fisher, g.select(1, j));
    }
    theta = next;
    ASSERT_LE(relative_error(run.w, theta), kTrajectory) << "step " << step;
  }
}

TEST(NaturalGradientPresetTest, OneStepSolvesLeastSquares) {
  auto w = randn({5, 3}, 1).requires_grad_();
  const auto x = randn({20, 5}, 2), y = randn({20, 3}, 3);
  NaturalGradient optimizer({w}, presets::natural_gradient());
  optimizer.step(F::mse_loss(x.mm(w), y));
  EXPECT_LE(relative_error(w, std::get<0>(torch::linalg_lstsq(x, y))), kTrajectory);
}

class PresetTest : public ::testing::TestWithParam<Preset> {};

TEST_P(PresetTest, NeverRisesAndFitsTheBatch) {
  Training training(GetParam().options);
  double last = training.loss(0).item<double>();
  for (int step = 0; step < 60; ++step) {
    training.optimizer->step([&] { return training.loss(0); });
    const double now = training.loss(0).item<double>();
    ASSERT_TRUE(training.summary().outcome == StepOutcome::Accepted ||
                training.summary().outcome == StepOutcome::Rejected ||
                training.summary().outcome == StepOutcome::ZeroGradient)
        << training.summary().message();
    if (GetParam().name != "Kfac") {
      ASSERT_LE(now, last) << training.summary().message();
    }
    last = now;
  }
  EXPECT_LT(last, 0.02);  // 12 examples, 4 classes: ln 4 = 1.39 at the start
}

TEST_P(PresetTest, ContinuesToTheBit) {
  Training straight(GetParam().options), first(GetParam().options), second(GetParam().options);
  const auto train = [](Training& training, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) training.optimizer->step([&] { return training.loss(k); });
  };
  train(straight, 0, 12);
  train(first, 0, 7);
  {
    const torch::NoGradGuard no_grad;
    auto to = second.parameters();
    const auto from = first.parameters();
    for (size_t i = 0; i < to.size(); ++i) to[i].copy_(from[i]);
  }
  std::stringstream stream;
  torch::save(*first.optimizer, stream);
  torch::load(*second.optimizer, stream);
  train(second, 7, 12);
  EXPECT_TRUE(same_bits(second.theta(), straight.theta()));
  EXPECT_EQ(second.summary().lambda, straight.summary().lambda);
}

TEST_P(PresetTest, NeedsAClosure) {
  Training training(GetParam().options);
  const auto step = [&] {
    for (int k = 0; k < 5; ++k) training.optimizer->step(training.loss(0));
  };
  expect_error(step, "Call step(closure)");
}

INSTANTIATE_TEST_SUITE_P(Presets, PresetTest, ::testing::ValuesIn(presets_with_trials()),
                         [](const auto& info) { return info.param.name; });

TEST(HessianFreePresetTest, PassesRosenbrocksValley) {
  // h = ½ (10 (b - a²))² + ½ (1 - a)² as least squares of two residuals.
  auto a = torch::tensor(-1.2, torch::kDouble).requires_grad_();
  auto b = torch::tensor(1.0, torch::kDouble).requires_grad_();
  NaturalGradient optimizer({a, b}, presets::hessian_free());
  const auto target = torch::zeros({2}, torch::kDouble);
  for (int step = 0; step < 100; ++step) {
    optimizer.step([&] {
      const auto z = torch::stack({10 * (b - a * a), 1 - a});
      return 0.5 * F::mse_loss(z, target, F::MSELossFuncOptions(torch::kSum));
    });
  }
  EXPECT_NEAR(a.item<double>(), 1, 1e-6);
  EXPECT_NEAR(b.item<double>(), 1, 1e-6);
}

TEST(KfacPresetTest, TakesChunks) {
  Training whole(presets::kfac(1));
  const auto x = Training::inputs(0), y = Training::labels(0);
  double last = 0;
  for (int step = 0; step < 60; ++step) {
    whole.optimizer->step(2, [&](int64_t k) {
      return F::cross_entropy(whole.model->forward(x.narrow(0, 6 * k, 6)), y.narrow(0, 6 * k, 6));
    });
    last = whole.loss(0).item<double>();
  }
  EXPECT_LT(last, 0.1);
}

// ---- Variational Monte Carlo. ----

/// log ψ of 30 samples with 7 parameters, and their local energies; written out densely.
struct Amplitudes {
  Tensor a = parameter({3}, 1), W = parameter({1, 3}, 2), b = parameter({1}, 3);
  Tensor x = randn({30, 3}, 4), energies = randn({30}, 5);

  static Tensor parameter(at::IntArrayRef shape, uint64_t seed) {
    return (0.5 * randn(shape, seed)).requires_grad_();
  }
  std::vector<Tensor> parameters() const { return {a, W, b}; }
  Tensor log_psi() const { return x.mv(a) + F::linear(x, W, b).squeeze(1).cosh().log(); }
  Tensor objective() const {
    return 2 * ((energies - energies.mean()) * natgrad::outputs(log_psi())).mean();
  }
  /// (S + λI)⁻¹(-∇E + λμ δ_prev).
  Tensor step(double shift, const Tensor& pulled) const {
    const auto O = jacobian(log_psi(), parameters());
    const auto centred = O - O.mean(0);
    const auto S = centred.t().mm(centred) / 30;
    const auto g = 2 * O.t().mv(energies - energies.mean()) / 30;
    return torch::linalg_solve(S + shift * torch::eye(7, torch::kDouble), shift * pulled - g);
  }
};

TEST(VariationalMonteCarloPresetTest, StepsAreThoseOfTheDenseSystem) {
  constexpr double kRate = 0.1, kShift = 0.02, kMomentum = 0.9;
  for (const bool is_spring : {false, true}) {
    const Amplitudes run;
    NaturalGradient optimizer(run.parameters(),
                              is_spring ? presets::spring(kRate, kShift, kMomentum)
                                        : presets::stochastic_reconfiguration(kRate, kShift));
    auto delta = torch::zeros({7}, torch::kDouble);
    for (int step = 0; step < 8; ++step) {
      const auto before = flat(run.parameters());
      delta = run.step(kShift, (is_spring ? kMomentum : 0) * delta);
      optimizer.step(run.objective());
      ASSERT_LE(relative_error(flat(run.parameters()) - before, kRate * delta), kTrajectory)
          << is_spring << " at step " << step;
      EXPECT_EQ(optimizer.summary().curvature, "30 centred rows by layers and products J v");
    }
  }
}

}  // namespace
}  // namespace natgrad::testing::presets_test
