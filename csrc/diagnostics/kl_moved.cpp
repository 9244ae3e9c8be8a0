#include <natgrad/diagnostics/kl_moved.h>

#include "curvature/divergence.h"

namespace natgrad {

KLMoved kl_moved(const LossGraph& before, const LossGraph& after, FisherWeights weights) {
  return {divergence(before, after, weights), divergence(after, before, weights)};
}

}  // namespace natgrad
