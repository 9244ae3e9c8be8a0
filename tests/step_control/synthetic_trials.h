#pragma once

// A step of a function given in closed form: what a step rule is shown, without a network.

#include <natgrad/step_control/step_rule.h>

#include <functional>
#include <vector>

#include "support/dense_model.h"
#include "support/oracles.h"

namespace natgrad::testing {

using Function = std::function<Tensor(const Tensor& theta)>;

/// h around θ, its gradients by autograd, and what it was asked.
class SyntheticTrials final : public TrialLosses {
 public:
  SyntheticTrials(Function h, Tensor theta) : h_(std::move(h)), theta_(std::move(theta)) {}

  double start() override { return h_(theta_).item<double>(); }
  double at(const Tensor& d) override {
    ++losses;
    return h_(theta_ + d).item<double>();
  }
  double at(const Tensor& d, Tensor& gradient) override {
    const at::AutoGradMode enable(true);
    displacements.push_back(d.clone());
    const auto point = (theta_ + d).detach().requires_grad_();
    const auto value = h_(point);
    gradient = torch::autograd::grad({value}, {point})[0];
    return value.item<double>();
  }

  int64_t losses = 0;
  std::vector<Tensor> displacements;  ///< at which gradients were asked for

 private:
  Function h_;
  Tensor theta_;
};

/// A step from θ with C and a solution.
struct SyntheticStep {
  Function h;
  Tensor theta;
  LinearOperator matrix;
  Solution solution;
  std::function<Tensor(const Tensor&)> at_rate = [](const Tensor& v) { return v.clone(); };

  SyntheticTrials trials = {h, theta};
  Tensor gradient = gradient_at_start();

  StepProblem problem() {
    return {trials.start(), gradient,        matrix,  solution, {},
            at_rate,        unasked_model(), nullptr, &trials};
  }
  double loss_at(const Tensor& d) const { return h(theta + d).item<double>(); }

 private:
  Tensor gradient_at_start() const {
    Tensor g;
    SyntheticTrials(h, theta).at(torch::zeros_like(theta), g);
    return g;
  }
};

/// Σ 100 (x_{i+1} - x_i²)² + (1 - x_i)², with its minimum 0 at ones.
inline Tensor rosenbrock(const Tensor& x) {
  const auto n = x.size(0) - 1;
  const auto head = x.narrow(0, 0, n), tail = x.narrow(0, 1, n);
  return (100 * (tail - head * head).square() + (1 - head).square()).sum();
}

}  // namespace natgrad::testing
