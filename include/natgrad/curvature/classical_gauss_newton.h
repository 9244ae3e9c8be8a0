#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The classical Gauss-Newton matrix (Martens, "New perspectives", section 3)
///
///     G = Σ sᵢ JᵢᵀJᵢ,
///
/// the generalized one of the squared error ½‖y - z‖², whatever the loss is. s are the examples'
/// weights in the loss, or 1/N for a loss of the user's own. For location families, r = Π c(y - z),
/// the Fisher matrix is a multiple of it (Park et al. 2000).
///
/// A product costs one J v and one Jᵀu.
NATGRAD_EXPORT LinearOperator classical_gauss_newton(const LossGraph& graph);

/// `classical_gauss_newton` as an option of the optimizer.
class NATGRAD_EXPORT ClassicalGaussNewton final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override {
    return {graph, classical_gauss_newton(graph)};
  }
  std::string describe() const override { return "ClassicalGaussNewton()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
