#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>

#include <optional>

#include "optim/step_data.h"

namespace natgrad::detail {

/// The share of `bound(graph)` that M promises for this displacement, ∇hᵀd + ½ dᵀC d over -½ Σ s
/// gᵀF_R⁻g of the gradient's batch: in [0, 1] for a step of the natural gradient, if ∇h and C come
/// from one batch. Nothing where there is no bound to compare with: chunks, penalties, weight
/// decay, a loss without likelihood or with negative weights, or one that is fitted to the last
/// digit. To be asked before θ moves. One product J v; ∇h by a pass where nobody asked for it yet.
std::optional<double> promised_share(const StepData& data, const LinearOperator& C,
                                     const torch::Tensor& displacement);

}  // namespace natgrad::detail
