#pragma once

// Runs that are stopped and resumed, for the tests and for the process that they start.

#include <natgrad/natgrad.h>
#include <torch/torch.h>
#include <memory>

#include <string>
#include <utility>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

/// Options, by a name that is one of a file too.
using ResumeCase = std::pair<std::string, NaturalGradientOptions>;

/// Every preset, and every part that keeps a state.
inline std::vector<ResumeCase> resume_cases() {
  const auto with = [](double lr) { return NaturalGradientOptions(lr); };
  const auto second_order = [&] { return with(0.3).curvature(FisherOrGaussNewton()); };
  return {
      {"default", {}},
      {"decay", NaturalGradientOptions().weight_decay(1e-3)},
      {"natural_gradient", presets::natural_gradient(0.1).damping(Tikhonov(0.1))},
      {"hessian_free", presets::hessian_free()},
      {"krylov", presets::krylov_subspace_descent()},
      {"kfac", presets::kfac()},
      {"least_squares", presets::least_squares()},
      {"exact", second_order()},
      {"levenberg", second_order().damping(LevenbergMarquardt().interval(2))},
      {"hindsight", second_order().damping(LevenbergMarquardt().interval(2).hindsight(true))},
      {"region", second_order().solver(SteihaugConjugateGradient()).damping(TrustRegion())},
      {"warm_start", second_order().damping(Tikhonov(0.1)).warm_start(0.9)},
      {"factors", second_order()
                      .damping(Tikhonov(0.1))
                      .preconditioner(KroneckerFactored().factor_interval(2).inverse_interval(3))},
      {"diagonal", second_order().damping(Tikhonov(0.1)).preconditioner(PropagatedDiagonal())},
      {"tonga", with(0.3)
                    .damping(Tikhonov(0.1))
                    .solver(ApproximateInverse())
                    .preconditioner(LowRank().rank(4).decay(0.9))},
      {"adaptive", second_order().damping(Tikhonov(0.1)).step_rule(AdaptiveRate())},
      {"inverse_time", second_order().damping(Tikhonov(0.1)).step_rule(InverseTime(1))},
      {"kl", second_order().damping(Tikhonov(0.1)).step_rule(KLConstrained(1e-3))},
      {"model_step", second_order().damping(Tikhonov(0.1)).step_rule(QuadraticModelStep())}};
}

/// A small classifier with dropout, which draws from LibTorch's default generator, and its
/// optimizer; the batch of step k is of k alone.
class ResumeRun {
 public:
  explicit ResumeRun(const NaturalGradientOptions& options, bool with_batch_norm = false) {
    torch::manual_seed(1);
    model->push_back(torch::nn::Linear(5, 6));
    if (with_batch_norm) model->push_back(torch::nn::BatchNorm1d(6));
    model->push_back(torch::nn::Tanh());
    model->push_back(torch::nn::Dropout(0.2));
    model->push_back(torch::nn::Linear(6, 3));
    model->to(torch::kDouble);
    optimizer = std::make_unique<NaturalGradient>(model->parameters(), options);
  }

  void train(int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) {
      const auto x = randn({12, 5}, 100 + k), labels = torch::arange(12).remainder(3);
      optimizer->step(
          [&] { return torch::nn::functional::cross_entropy(model->forward(x), labels); });
    }
  }
  /// Everything that the model holds, [n].
  Tensor values() const {
    std::vector<Tensor> all;
    for (const auto& p : model->parameters()) all.push_back(p.detach().flatten());
    for (const auto& b : model->buffers()) all.push_back(b.flatten().to(torch::kDouble));
    return torch::cat(all);
  }

  torch::nn::Sequential model;
  std::unique_ptr<NaturalGradient> optimizer;
};

}  // namespace natgrad::testing
