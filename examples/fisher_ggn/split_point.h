#pragma once

#include "fisher_ggn/setting.h"
#include "support/comparisons.h"

namespace examples {

/// The point where the network ends and the loss begins, moved through the softmax, for targets
/// from one-hot to the model's own probabilities. The Fisher matrix does not care where it is; the
/// GGN does. Prints a table, and answers its numbers, a curve, and matrices to draw.
Json compare_split_points(const Setting& setting, Findings& findings);

}  // namespace examples
