#pragma once

/// @file
/// Mean-field Gaussians on a log-joint.

#include <natgrad/variational/expectations.h>
#include <natgrad/variational/mean_field_gaussian.h>
#include <natgrad/variational/natural_gradient_vi.h>
