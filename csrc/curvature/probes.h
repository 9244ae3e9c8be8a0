#pragma once

#include "detail.h"

#include <cstdint>

namespace natgrad::detail {

/// Throws `c10::Error` unless an estimate has at least one probe.
void check_probes(int64_t probes);

}  // namespace natgrad::detail
