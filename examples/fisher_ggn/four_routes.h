#pragma once

#include "fisher_ggn/setting.h"
#include "support/comparisons.h"

namespace examples {

/// The four routes for every family, and what is often taken for the Fisher matrix and is not: a
/// table, a line a family. Answers its numbers.
Json compare_families(const Setting& setting, Findings& findings);

}  // namespace examples
