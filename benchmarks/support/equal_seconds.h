#pragma once

#include "support/cells.h"

namespace benchmarks {

/// Trains each cell with natgrad's default for the task's epochs, and with Adam at each of its
/// rates for as many seconds as natgrad took from the same seed. Prints a line a cell, then the
/// bars.
void compare_in_equal_seconds(const Cells& cells);

}  // namespace benchmarks
