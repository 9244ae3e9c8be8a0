#pragma once

#include <natgrad/export.h>
#include <natgrad/linalg/linear_operator.h>

namespace natgrad {

class LossGraph;

/// ∇²R(θ) of the loss's penalties R on the parameters, by double backward on the penalties alone:
/// those marked by `natgrad::penalty`, and sums of elementwise functions of parameters (L1, L2).
/// The optimizer adds it to whichever curvature it uses, as it does weight decay, but to no
/// `Metric` and no `ParameterScales`. Zero without any.
NATGRAD_EXPORT LinearOperator penalty_hessian(const LossGraph& graph);

}  // namespace natgrad
