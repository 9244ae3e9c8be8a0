#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/export.h>

namespace natgrad {

/// The generalized Gauss-Newton matrix, GGN (Schraudolph 2002; Martens, section 3, eq. 2); "the
/// Gauss-Newton matrix" in this library for short,
///
///     G = Σ J_fᵀ H_L J_f,
///
/// which is the Fisher matrix for squared error (Heskes 2000), for cross-entropy (Pascanu & Bengio
/// 2014), and for every family by its natural parameters (Martens, section 8). H_L is the Hessian
/// of the loss in the network's outputs z. It knows no likelihood: H_L v comes from double backward
/// on the loss alone. Positive semi-definite where the loss is convex in z; where it is not, G may
/// be indefinite. Only products are formed: J v, H_L of it, Jᵀ of that, about one forward and one
/// backward pass.
NATGRAD_EXPORT LinearOperator gauss_newton(const LossGraph& graph);

/// `gauss_newton` as an option of the optimizer; of a loss that cannot be read, and is not convex
/// in the outputs that are found, `GradientRows()`.
class NATGRAD_EXPORT GaussNewton final : public Curvature {
 public:
  CurvatureAt at(const LossGraph& graph) const override;
  std::string describe() const override { return "GaussNewton()"; }
  std::shared_ptr<const Curvature> clone() const override;
};

}  // namespace natgrad
