#pragma once

#include "support/output_models.h"

namespace examples {

/// A network 3-5-K with tanh units, some data, and what its outputs mean; all in double.
///
/// The objective is h(θ) = (1/N) Σ L(yₙ, f(xₙ, θ)) with L(y, z) = -log r(y|z). All matrices below
/// are P x P, with P the number of weights.
class Problem {
 public:
  Problem(OutputModelPtr model, int64_t examples);

  const OutputModel& model() const { return *model_; }
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  const torch::Tensor& targets() const { return y_; }
  int64_t examples() const { return x_.size(0); }
  /// P.
  int64_t size() const;
  /// z = f(x, θ), [N, K], on a new graph.
  torch::Tensor outputs() const;

 private:
  OutputModelPtr model_;
  torch::Tensor x_, y_;
  std::vector<torch::Tensor> parameters_;
};

/// (a) The generalized Gauss-Newton matrix G = (1/N) Σ Jᵀ H_L J (Martens, "New perspectives",
/// section 3), with H_L = ∇²_z L(y, z) by double backward of the loss. It knows no distribution.
torch::Tensor gauss_newton_matrix(const Problem& problem);

/// (b) F = (1/N) Σ Jᵀ F_R J (section 8), with the Fisher matrix F_R of r(y|z) by its closed
/// formula. It knows no loss. Its products J v are those of (a); what is between them is not.
torch::Tensor closed_fisher_matrix(const Problem& problem);

/// (c) The definition, F = (1/N) Σₙ E_{y ~ r(·|zₙ)}[∇log r ∇log rᵀ] (section 5), ∇ in θ: one
/// gradient for each example and each y.
torch::Tensor expected_score_products(const Problem& problem);

/// (d) F = -(1/N) Σₙ E_{y ~ r(·|zₙ)}[∇² log r] (section 5), ∇² in θ: double backward through the
/// whole network.
torch::Tensor minus_expected_hessian(const Problem& problem);

/// Not the Fisher matrix: (1/N) Σ ∇log r(yₙ|zₙ) ∇log r(yₙ|zₙ)ᵀ at the observed yₙ (section 7).
torch::Tensor empirical_fisher_matrix(const Problem& problem);

/// Not the Fisher matrix: ∇²h, the Hessian of the objective.
torch::Tensor objective_hessian(const Problem& problem);

/// Not the Fisher matrix: Gauss-Newton with softmax counted as part of the network, whose outputs
/// are then the probabilities p, and L(y, p) = -log p_y (section 8, last paragraphs).
torch::Tensor gauss_newton_of_probabilities(const Problem& problem);

}  // namespace examples
