#pragma once

/// The theory's claims as calls on a model, its data and its loss.

#include <natgrad/curvature/best_outputs.h>
#include <natgrad/curvature/pulled_back.h>
#include <natgrad/diagnostics/invariance.h>
#include <natgrad/diagnostics/local_model.h>
#include <natgrad/diagnostics/mixed_batches.h>
#include <natgrad/diagnostics/reparametrisation.h>
#include <natgrad/diagnostics/units.h>
