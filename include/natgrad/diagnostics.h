#pragma once

/// The theory's claims as calls on a model, its data and its loss.

#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/diagnostics/derivative_health.h>
#include <natgrad/diagnostics/equivalence.h>
#include <natgrad/diagnostics/geodesic_flow.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/diagnostics/kl_expansion.h>
#include <natgrad/diagnostics/kl_moved.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/diagnostics/operator_health.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/diagnostics/steepest_descent.h>
#include <natgrad/diagnostics/units.h>
