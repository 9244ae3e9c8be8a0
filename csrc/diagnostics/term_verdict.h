#pragma once

#include <natgrad/diagnostics/equivalence.h>

#include <string>

#include "detail.h"

namespace natgrad::detail {

/// From a term's figures to `equal`, `holds`, `breach` and `reason`. `is_own`: whether the loss is
/// the user's own function of z.
void judge_term(TermCondition& condition, bool is_own, double tolerance);

/// The term in a line: "Gaussian(variance=1) on z [64, 10], between Addmm and MseLoss: ...".
std::string line_of(const TermCondition& condition);

}  // namespace natgrad::detail
