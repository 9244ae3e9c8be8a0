#pragma once

/// @file
/// Mean-field Gaussians on a log-joint, and distributions over finitely many states.

#include <natgrad/variational/discrete_vi.h>
#include <natgrad/variational/expectations.h>
#include <natgrad/variational/mean_field_gaussian.h>
#include <natgrad/variational/natural_gradient_vi.h>
