#pragma once

// A small classifier in training, and the check that a fault leaves no trace in it.

#include <natgrad/optim/natural_gradient.h>

#include <functional>
#include <memory>
#include <vector>

namespace natgrad::testing {

struct Training {
  torch::nn::Sequential model;
  std::unique_ptr<NaturalGradient> optimizer;
  int64_t batches = 0;  ///< taken so far

  explicit Training(const NaturalGradientOptions& options = {});

  /// Inputs [12, 3] and labels of 4 classes of the k-th batch.
  static torch::Tensor inputs(int64_t k);
  static torch::Tensor labels(int64_t k);
  /// The loss of the k-th batch.
  torch::Tensor loss(int64_t k);
  /// A step on the next batch.
  void good_step() {
    const auto k = batches++;
    optimizer->step([this, k] { return loss(k); });
  }

  torch::Tensor outputs(int64_t k) { return model->forward(inputs(k)); }
  std::vector<torch::Tensor> parameters() const { return model->parameters(); }
  /// A copy of all parameters, flat.
  torch::Tensor theta() const;
  const StepSummary& summary() const { return optimizer->summary(); }
};

/// 3-5-4 with tanh in double, the same numbers each time. `noisy`: with BatchNorm and dropout.
torch::nn::Sequential classifier(bool noisy = false);

using Fault = std::function<void(Training&)>;

/// Runs the fault at the start and after accepted steps, expects everything unchanged by it, and
/// then one more good step to be, bit for bit, that of a run without the fault.
void expect_no_trace(const Fault& fault, const NaturalGradientOptions& options = {});
/// The same for a fault that throws a c10::Error about `needle`.
void expect_no_trace_of_error(const Fault& fault, const std::string& needle,
                              const NaturalGradientOptions& options = {});

/// Options under which a step is the dense solution to rounding: a tight solver.
ConjugateGradient tight_solver();

}  // namespace natgrad::testing
