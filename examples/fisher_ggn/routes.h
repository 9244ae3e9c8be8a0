#pragma once

#include "fisher_ggn/family.h"

namespace examples {

/// A network 3-5-K with tanh units, some data, and what its outputs mean; all in double.
///
/// The objective is h(θ) = (1/N) Σ L(yₙ, f(xₙ, θ)) with L(y, z) = -log r(y|z). All matrices below
/// are P x P, with P the number of weights.
class Problem {
 public:
  Problem(const Family& family, int64_t examples);

  const Family& family() const { return *family_; }
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  const torch::Tensor& targets() const { return y_; }
  int64_t examples() const { return x_.size(0); }
  /// z = f(x, θ), [N, K], on a new graph.
  torch::Tensor outputs() const;

 private:
  const Family* family_;
  torch::Tensor x_, y_;
  std::vector<torch::Tensor> parameters_;
};

/// y that are possible, and what they count in an expectation over r(y|zₙ): K for each example.
struct Outcomes {
  torch::Tensor y;       ///< [K N, ...], all examples with the first y, then with the second, ...
  torch::Tensor weight;  ///< [K N], Σ over an example's K = 1; constants
  int64_t count;         ///< K
};

/// All y by `family.support`, weighed with r(y|z) by `family.log_r`.
Outcomes outcomes_of(const Family& family, const torch::Tensor& z);
/// How far Σ r(y|zₙ) is from 1, the largest over the examples.
double error_of_total(const Outcomes& outcomes, int64_t examples);
/// log r of all outcomes, [K N].
torch::Tensor log_r_of(const Family& family, const torch::Tensor& z, const Outcomes& outcomes);

/// (a) F = (1/N) Σ Jᵀ F_R J (Martens, "New perspectives", section 8), F_R of r(y|z) by the closed
/// formula of natgrad's likelihood. It knows no loss.
torch::Tensor fisher_matrix(const Problem& problem);

/// (b) The generalized Gauss-Newton matrix, GGN, G = (1/N) Σ Jᵀ H_L J (section 3), H_L = ∇²_z L(y,
/// z) by double backward of the loss. It knows no distribution. What is between Jᵀ and J shares
/// nothing with (a).
torch::Tensor gauss_newton_matrix(const Problem& problem);

/// (c) The definition, F = (1/N) Σₙ E_{y ~ r(·|zₙ)}[∇log r ∇log rᵀ] (section 5), ∇ in θ: one
/// gradient for each example and each y.
torch::Tensor expected_score_products(const Problem& problem);

/// (d) F = -(1/N) Σₙ E_{y ~ r(·|zₙ)}[∇² log r] (section 5), ∇² in θ: double backward through the
/// whole network.
torch::Tensor minus_expected_hessian(const Problem& problem);

/// Condition (5) of section 8, does H_L depend on y? How far H_L v at targets drawn from the model
/// is from H_L v at the observed ones, over ‖F_R v‖, v random: natgrad's diagnostics.
double change_with_targets(const Problem& problem);

/// Not the Fisher matrix: (1/N) Σ ∇log r(yₙ|zₙ) ∇log r(yₙ|zₙ)ᵀ at the observed yₙ (section 7).
torch::Tensor empirical_fisher_matrix(const Problem& problem);

/// Not the Fisher matrix: ∇²h, the Hessian of the objective.
torch::Tensor objective_hessian(const Problem& problem);

}  // namespace examples
