#pragma once

#include "detail.h"

namespace natgrad::detail {

/// The largest c = √(sᵀF_R⁻s) of a score factor: odds of e⁻³⁰ of what was observed. c q = s then
/// holds in float32 too.
inline constexpr double kLongestScore = 3.269e6;  // e^15

}  // namespace natgrad::detail
