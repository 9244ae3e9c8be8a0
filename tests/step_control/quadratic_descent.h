#pragma once

// A quadratic loss, and step rules taking steps on it: everything about such a step is known.

#include <natgrad/solvers/krylov_subspace.h>
#include <natgrad/step_control/step_rule.h>

#include "support/dense_model.h"
#include "support/oracles.h"

namespace natgrad::testing {

/// h(θ) = least + ½ (θ - θ*)ᵀC(θ - θ*), from θ on.
struct QuadraticDescent final : TrialLosses {
  Tensor C, minimum, theta;
  double least = 0, lambda = 0, rate = 1;
  double centre = 0;  ///< μ: solutions are centred on μ times the last
  Tensor previous = {}, memory = {};

  QuadraticDescent(Tensor curvature, Tensor at_least, Tensor start)
      : C(std::move(curvature)), minimum(std::move(at_least)), theta(std::move(start)) {}

  double loss(const Tensor& at) const {
    const auto away = at - minimum;
    return least + 0.5 * away.dot(C.mv(away)).item<double>();
  }
  Tensor gradient(const Tensor& at) const { return C.mv(at - minimum); }

  double start() override { return loss(theta); }
  double at(const Tensor& d) override { return loss(theta + d); }
  double at(const Tensor& d, Tensor& g) override {
    g = gradient(theta + d);
    return at(d);
  }

  /// What `rule` chooses at θ, given the exact solution of the damped system.
  Step choose(StepRule& rule) {
    const auto g = gradient(theta);
    const auto A = C + lambda * torch::eye(g.numel(), g.options());
    const auto matrix = from_dense(A);
    const auto b = centre > 0 && previous.defined() ? lambda * centre * previous - g : -g;
    Solution solution{torch::linalg_solve(A, b), {}};
    if (rule.needs_basis()) {
      solution.basis = std::make_shared<KrylovBasis>(krylov_basis(matrix, -g, 4, previous));
    }
    const auto at_rate = [this](const Tensor& v) { return rate * v; };
    const DenseModel model(C, g);
    return rule.choose({loss(theta), g, matrix, solution, previous, at_rate, model, nullptr, this,
                        centre, 1, memory});
  }

  /// Takes that step.
  Step step(StepRule& rule) {
    const auto chosen = choose(rule);
    theta = theta + chosen.displacement;
    previous = chosen.kept;
    memory = chosen.memory;
    return chosen;
  }
};

/// Six parameters, condition 20, damped a little.
inline QuadraticDescent six_parameters(uint64_t seed = 1) {
  QuadraticDescent descent(random_spd(6, 20, seed), randn({6}, seed + 1), randn({6}, seed + 2));
  descent.lambda = 0.01;
  return descent;
}

}  // namespace natgrad::testing
