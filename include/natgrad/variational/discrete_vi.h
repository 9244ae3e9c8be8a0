#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>
#include <natgrad/variational/natural_gradient_vi.h>
#include <torch/arg.h>

#include <functional>

namespace natgrad {

/// Options of `DiscreteVI`.
struct NATGRAD_EXPORT DiscreteVIOptions {
  /// ε in (0, 1].
  TORCH_ARG(double, rate) = 1;
  /// λ ≥ 0 of g + λI; 0: the solution of least norm, where g is singular.
  TORCH_ARG(double, damping) = 0;
};

/// Natural-gradient variational inference with any distribution q_θ over finitely many states x,
/// all of which are summed over (the blog post on natural gradients): descent on
///
///     D(q_θ‖p) = Σ_x q_θ(x) log(q_θ(x)/p(x)) = log Z - ELBO,
///
/// p known up to Z, in the metric that D itself has between neighbouring θ, D(q_θ‖q_{θ+d}) = ½ dᵀgd
/// + O(d³), the Fisher matrix
///
///     g_ij = Σ_x q_θ(x) ∂_i log q_θ(x) ∂_j log q_θ(x),   θ ← θ - ε (g + λI)⁻¹ ∇D.
///
/// With g = RᵀR and ∇D = -Rᵀt, R = √q ∂log q and t = √q (log p - log q + D), that is the
/// least-squares fit of log p - log q by the scores, which is what is solved (the condition of R,
/// not of g). So a family that holds p, in parameters in which log q is linear up to its
/// normaliser, is there in one step with ε = 1. The step does not depend on units or on a linear
/// change of θ. It is halved while the ELBO would fall.
///
/// ```cpp
/// // Three spins x of ±1, independent under q: mean-field theory of a chain.
/// const auto x = 1 - 2 * torch::tensor({{0, 0, 0}, {0, 0, 1}, {0, 1, 0}, {0, 1, 1},
///                                       {1, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}},
///                                       torch::kDouble);
/// const auto log_p = x.select(1, 0) * x.select(1, 1) + x.select(1, 1) * x.select(1, 2);
/// const auto log_q = [&](const torch::Tensor& fields) { return x.mv(fields); };
/// natgrad::DiscreteVI vi(log_p, log_q, 0.1 * torch::ones({3}, torch::kDouble));
/// for (int k = 0; k < 20; ++k) vi.step();
/// ```
///
/// A step costs min(M, P) backward passes through log q for its Jacobian and M P² multiply-adds.
/// Numerical outcomes are values, as of `NaturalGradientVI`. Throws for options out of range, a
/// log-joint that is not a finite vector, and a log q of another shape, or without a graph to θ.
class NATGRAD_EXPORT DiscreteVI {
 public:
  /// log q_θ of all states up to a constant: θ of [P] to [M]. Differentiable.
  using LogWeights = std::function<torch::Tensor(const torch::Tensor& theta)>;

  /// `log_joint`: log p of the states up to a constant, [M].
  DiscreteVI(torch::Tensor log_joint, LogWeights log_q, torch::Tensor initial,
             DiscreteVIOptions options = {});

  /// One step.
  const VariationalSummary& step();
  /// Of the last step.
  const VariationalSummary& summary() const { return summary_; }
  /// θ, [P].
  const torch::Tensor& theta() const { return theta_; }
  /// q_θ(x), [M].
  torch::Tensor probabilities() const;
  /// Σ_x q (log p - log q), a lower bound of log Z.
  double elbo() const;
  /// D(q_θ‖p), Z summed over all states.
  double divergence() const;
  /// g at θ, of [P, P] by its rows R; knows the inverse of its shifts.
  LinearOperator fisher() const;
  /// ∇D at θ, [P].
  torch::Tensor gradient() const;
  /// Number of accepted steps.
  int64_t steps() const { return steps_; }

 private:
  /// R, [M, P], and t, [M].
  struct LeastSquaresFit {
    torch::Tensor rows, targets;
  };
  LeastSquaresFit fit() const;
  torch::Tensor log_probabilities(const torch::Tensor& theta) const;
  double elbo_at(const torch::Tensor& theta) const;

  torch::Tensor log_joint_;
  LogWeights log_q_;
  torch::Tensor theta_;
  DiscreteVIOptions options_;
  VariationalSummary summary_;
  int64_t steps_ = 0;
};

}  // namespace natgrad
