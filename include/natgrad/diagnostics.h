#pragma once

/// The theory's claims as calls on a model, its data and its loss.

#include <natgrad/diagnostics/geodesic_flow.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/diagnostics/kl_moved.h>
#include <natgrad/diagnostics/steepest_descent.h>
