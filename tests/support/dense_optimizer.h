#pragma once

// The optimizer's algorithm with explicit matrices and direct solves.

#include <torch/torch.h>

#include <cmath>

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"

namespace natgrad::testing {

struct DenseSettings {
  double lambda = 0.1, momentum = 0, lr = 1, weight_decay = 0;
  /// T of the memory's growth; by default it does not grow.
  double memory_doubling = HUGE_VAL;
};

/// (C + (w + λ) I) δ = -(∇h + wθ) + λ μₜ δ_prev, then θ += α δ/√(1 + t/T), with
/// 1 - μₜ = (1 - μ)/(1 + t/T) after t steps. C is the default curvature: the
/// Gauss-Newton matrix, or the Fisher matrix of a likelihood for which it is another.
class DenseOptimizer {
 public:
  DenseOptimizer(Network network, LossCase loss, DenseSettings settings)
      : network_(std::move(network)), loss_(std::move(loss)), settings_(settings) {}

  void step() {
    const auto z = network_.forward();
    const auto of_z = [&](const torch::Tensor& t) { return loss_.reference(split(t, loss_)); };
    const auto theta = flat(network_.parameters).detach();
    const auto identity = torch::eye(theta.numel(), torch::kDouble);
    const auto c = loss_.hessian_is_fisher()
                       ? hessian_of_linearised_model(z, network_.parameters, of_z)
                       : fisher(z);
    gradient_ = gradient_of(of_z(z), network_.parameters) + settings_.weight_decay * theta;
    const double growth = 1 + steps_++ / settings_.memory_doubling;
    const double momentum = 1 - (1 - settings_.momentum) / growth;
    auto right_hand_side = -gradient_;
    if (delta_.defined()) {
      right_hand_side = right_hand_side + settings_.lambda * momentum * delta_;
    }
    const double shift = settings_.weight_decay + settings_.lambda;
    delta_ = torch::linalg_solve(c + shift * identity, right_hand_side);
    move_by(settings_.lr / std::sqrt(growth) * delta_);
  }

  void set_lambda(double lambda) { settings_.lambda = lambda; }
  torch::Tensor theta() const { return flat(network_.parameters).detach(); }
  const torch::Tensor& delta() const { return delta_; }
  const torch::Tensor& gradient() const { return gradient_; }

 private:
  torch::Tensor fisher(const torch::Tensor& z) const {
    const auto j = jacobian(z, network_.parameters);
    return j.t().mm(closed_form_fisher(loss_, split(z, loss_))).mm(j);
  }

  void move_by(const torch::Tensor& step) {
    const torch::NoGradGuard no_grad;
    int64_t offset = 0;
    for (auto& p : network_.parameters) {
      p.add_(step.narrow(0, offset, p.numel()).view(p.sizes()));
      offset += p.numel();
    }
  }

  Network network_;
  LossCase loss_;
  DenseSettings settings_;
  int steps_ = 0;
  torch::Tensor delta_, gradient_;
};

}  // namespace natgrad::testing
