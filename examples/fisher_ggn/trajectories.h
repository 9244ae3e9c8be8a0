#pragma once

#include "fisher_ggn/setting.h"
#include "support/comparisons.h"
#include "support/dataset.h"

namespace examples {

/// Hessian-free optimization twice from one start, with the GGN, as it was published, and with the
/// Fisher matrix: the natural gradient "in disguise" (Martens, "New perspectives", section 1). For
/// natural parameters all steps are the same; with (mean, log σ) they part. `digits`: some of them
/// are learnt. Prints a table a task, and answers the numbers.
Json compare_trajectories(const Setting& setting, int64_t steps, const Dataset& digits,
                          Findings& findings);

}  // namespace examples
