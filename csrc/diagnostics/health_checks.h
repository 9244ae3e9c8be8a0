#pragma once

#include <natgrad/diagnostics/operator_health.h>

#include <functional>
#include <string>

#include "detail.h"

namespace natgrad::detail {

/// A check of a relative error, with what to say where it is too large; NaN is.
HealthCheck judged(std::string name, double value, double tolerance, std::string says);
/// One that could not be made, or that tells nothing.
HealthCheck inconclusive(std::string name, std::string says);

/// Adds what `look` answers; what it throws, but for a lack of memory, is a check of that name that
/// fails.
void examine(Health& health, const std::string& name, const std::function<HealthCheck()>& look);

/// Names `find_op()` as the one at fault of the checks that failed, if any, and if it finds one.
void blame(Health& health, const std::function<std::string()>& find_op);

}  // namespace natgrad::detail
