#pragma once

#include "configuration/settings.h"

#include <natgrad/optim/options.h>

namespace natgrad::detail {

/// The options of "natgrad" and of each preset, "natgrad-hessian-free", ..., by these names.
const Makers<NaturalGradientOptions>& natural_gradient_makers();

}  // namespace natgrad::detail
