#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The Hessian of the whole objective, ∇²h(θ) = G + Σ [∇_z L]ⱼ ∇²fⱼ (Martens, "New perspectives",
/// section 3), by double backward (Pearlmutter 1994). It takes any loss, and holds the Hessian of
/// penalties on the parameters already. Away from a minimum it is in general indefinite: conjugate
/// gradients then report `NegativeCurvature`, and a step needs a λ above its most negative
/// eigenvalue.
///
/// A product costs about two backward passes.
NATGRAD_EXPORT LinearOperator hessian(const LossGraph& graph);

/// `hessian` as an option of the optimizer.
class NATGRAD_EXPORT Hessian final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override { return {graph, hessian(graph)}; }
  bool needs_terms() const override { return false; }
  bool needs_penalties() const override { return false; }
  std::string describe() const override { return "Hessian()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
