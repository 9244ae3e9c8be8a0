#pragma once

#include <natgrad/curvature/curvature.h>

namespace natgrad {

/// The Fisher information matrix of the model's own distribution (Amari 1998; Martens, sections 5,
/// 8; Park et al. 2000)
///
///     F = Σ sᵢ Jᵢᵀ F_R Jᵢ,
///
/// F_R the Fisher matrix of r(y|z) in closed form and s the terms' weights (1/N for a mean over N).
/// It knows no loss: F_R comes from the likelihood alone. Products cost what Gauss-Newton's do.
/// Throws `c10::Error` if a term has no likelihood (a loss marked by `natgrad::outputs`).
LinearOperator fisher(const LossGraph& graph);

/// `fisher` as an option of the optimizer.
class Fisher final : public Curvature {
 public:
  LinearOperator at(const LossGraph& graph) const override { return fisher(graph); }
  std::string describe() const override { return "Fisher()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
