#pragma once

/// The theory's claims as calls on a model, its data and its loss.

#include <natgrad/diagnostics/derivative_health.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/diagnostics/operator_health.h>
