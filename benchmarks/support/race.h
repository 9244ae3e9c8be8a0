#pragma once

#include "support/cells.h"
#include "support/page.h"

namespace benchmarks {

/// For each cell and seed: the lowest training loss that Adam reaches after any epoch at any of its
/// rates, its seconds to it, and the seconds in which natgrad's default gets there.
void race(const Cells& cells, Page& page);

}  // namespace benchmarks
