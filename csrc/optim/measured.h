#pragma once

#include "detail.h"

#include <natgrad/linalg/linear_operator.h>
#include <natgrad/optim/step_summary.h>

#include "optim/step_data.h"

namespace natgrad::detail {

/// Notes in the report what share of the bound this displacement promises (promised_share.h), how
/// far it moves the model's distribution on the gradient's batch, and how that is known: with a
/// closure by the outputs at θ + d, else, or where a family does not say its divergence, to second
/// order by J d. Where neither can be told, why. To be asked before θ moves.
void measure(const StepData& data, const LinearOperator& C, const torch::Tensor& displacement,
             StepSummary& report);

}  // namespace natgrad::detail
