#pragma once

#include "support/cells.h"
#include "support/page.h"

namespace benchmarks {

/// Trains each cell with natgrad's default, and with five fixed rates instead of its own rule, for
/// as many epochs. Prints a line a cell, then the worst ratio to the best fixed rate.
void compare_with_fixed_rates(const Cells& cells, Page& page);

}  // namespace benchmarks
