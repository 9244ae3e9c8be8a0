#pragma once

#include "detail.h"

#include "graph/capture.h"

namespace natgrad::detail {

/// Captures of one network below several gradients as one of a batch that was repeated: first all
/// examples below the first gradients, then all below the second, ... [captures·N].
Capture stack(std::vector<Capture> captures);

}  // namespace natgrad::detail
