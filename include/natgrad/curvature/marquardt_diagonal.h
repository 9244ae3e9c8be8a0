#pragma once

#include <natgrad/curvature/curvature.h>
#include <natgrad/curvature/damping_matrix.h>
#include <natgrad/export.h>
#include <torch/arg.h>

namespace natgrad {

/// Marquardt's damping matrix D = diag(d), d the diagonal of the curvature (Marquardt 1963; Moré
/// 1978): in (C + λD) δ = -∇h, λ is a number without a unit, and the step is the same however each
/// single parameter is scaled. (Damped by λI, it depends on the parameters' units.)
///
/// d is the diagonal of the Fisher matrix where the outputs' distribution is known, else that of
/// Gauss-Newton: of `probes` draws of curvature propagation, or exact.
///
/// d_j is zero where parameter j does not act on this batch, and a few draws of Gauss-Newton may
/// fall below zero: λD is then not positive definite. So d_j is at least `floor` times the largest;
/// where all are zero D = I. (Moré keeps the largest d_j of all steps so far instead, which needs a
/// memory and fits one objective, not batches of it.) The floor is the only thing that depends on
/// the parameters' scales.
class NATGRAD_EXPORT MarquardtDiagonal final : public DampingMatrix {
 public:
  /// k ≥ 1 draws, at one backward pass each (of Gauss-Newton two, and a product with H_L). The
  /// mean's entries are off by up to √(2/k) of themselves.
  TORCH_ARG(int64_t, probes) = 8;
  /// P products instead, for few parameters.
  TORCH_ARG(bool, exact) = false;
  /// In (0, 1].
  TORCH_ARG(double, floor) = 1e-4;

 public:
  /// diag(d), which knows its inverse. Throws `c10::Error` for settings out of range.
  LinearOperator at(const LossGraph& graph) const override;
  std::string describe() const override;
  std::shared_ptr<const DampingMatrix> clone() const override;
};

}  // namespace natgrad
