#pragma once

#include "detail.h"

#include <natgrad/optim/step_summary.h>

#include "optim/step_data.h"

namespace natgrad::detail {

/// Notes in the report how far this displacement moves the model's distribution on the gradient's
/// batch, and how that is known: with a closure by the outputs at θ + d, else, or where a family
/// does not say its divergence, to second order by J d. Where neither can be told, why. To be asked
/// before θ moves.
void measure_divergence(const StepData& data, const torch::Tensor& displacement,
                        StepSummary& report);

}  // namespace natgrad::detail
