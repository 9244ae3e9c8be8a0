#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/export.h>

namespace natgrad {

/// S = (1/N) Σ J_hᵀ H_D J_h over the examples, and over all hidden states h that `natgrad::hidden`
/// marks below the loss (in a recurrent network: over the time steps); J_h = ∂h/∂θ, and H_D the
/// Hessian of the state's distance D. It is the Hessian in δ at 0 of
///
///     (1/N) Σ D(h(θ), h(θ + δ)),
///
/// positive semi-definite. N is dimension 0 of the state, whatever the loss's own weights are.
///
/// Building it costs one differentiable backward pass from the hidden states, a product about one
/// forward and one backward pass: what a product with Gauss-Newton costs. Throws `c10::Error` if no
/// hidden state is marked, and as `hidden_states` does.
NATGRAD_EXPORT LinearOperator structural_matrix(const LossGraph& graph);

/// Structural damping (Martens & Sutskever 2011, section 3.3): the matrix D = I + μS of the damped
/// curvature
///
///     C + λD = C + λI + λμS,
///
/// so that a step is short not in the parameters alone, but in the hidden states that it leads to.
/// A recurrent network's states may change a lot where its parameters change little, and the
/// quadratic model of the loss does not know it: it would take a λ so large that nothing is learnt.
///
/// ```cpp
/// for (const auto& x : inputs) {
///   h = natgrad::hidden(torch::tanh(cell->forward(torch::cat({x, h}, 1))));
/// }
/// const auto options =
///     natgrad::presets::hessian_free().damping_matrix(natgrad::StructuralDamping(0.03));
/// ```
///
/// Each product then costs about twice what it costs without. Any loss will do.
class NATGRAD_EXPORT StructuralDamping final : public DampingMatrix {
 public:
  /// μ > 0, finite: weighs the states' change against the parameters', where S is a sum over the
  /// time steps. It is not delicate: 0.03 and 0.1 did alike in examples/recurrent_memory. Throws
  /// for any other.
  explicit StructuralDamping(double mu = 0.03);

  /// I + μS. Throws `c10::Error` as `structural_matrix` does.
  LinearOperator at(const LossGraph& graph) const override;
  std::string describe() const override;
  std::shared_ptr<const DampingMatrix> clone() const override;

 private:
  double mu_;
};

}  // namespace natgrad
