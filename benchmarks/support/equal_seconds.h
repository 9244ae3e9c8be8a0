#pragma once

#include "support/cells.h"
#include "support/page.h"

namespace benchmarks {

/// Trains each cell with natgrad's default for the task's epochs, and with Adam at each of its
/// rates for as many seconds as natgrad took from the same seed. The page gets a row a cell, then
/// the bars.
void compare_in_equal_seconds(const Cells& cells, Page& page);

}  // namespace benchmarks
