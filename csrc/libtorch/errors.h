#pragma once

#include "detail.h"

#include <c10/util/Exception.h>

#include <string>

namespace natgrad::detail {

/// What an error of LibTorch's autograd means. LibTorch tells by the text alone.
enum class GraphError {
  Other,
  Freed,              ///< a saved tensor of a graph that `backward` has freed
  ChangedInPlace,     ///< a saved tensor that was written to since
  NoGradient,         ///< autograd::grad of what has no graph
  NotDifferentiable,  ///< the derivative of some op, or of its backward, does not exist
};

GraphError kind_of(const c10::Error& error);

/// A message of natgrad's own without its name, to stand within another one.
std::string without_prefix(std::string message);

}  // namespace natgrad::detail
