#pragma once

#include <natgrad/export.h>

namespace natgrad {

/// What a displacement v of the parameters does to the outputs z, by their linearisation J v, on
/// the step's batch.
struct NATGRAD_EXPORT OutputMove {
  /// The largest move of an output, in units in which its family's F_R is no longer what it was
  /// (`Likelihood::output_change`); 0 where F_R does not depend on z.
  double reach = 0;
  /// How much higher the losses of those examples become whose losses rise, averaged over all, at
  /// the outputs z + J v themselves. Not finite where z + J v is too far.
  double rise = 0;
};

}  // namespace natgrad
