#pragma once

#include "detail.h"

#include <torch/types.h>

#include <string>
#include <vector>

namespace natgrad::detail {

/// What was done to the `.grad` of these parameters, if it is the gradient of the loss cut down: a
/// sentence that names the option to use instead, since a step reads no `.grad`. Empty where some
/// have none, or it holds anything else (the gradient itself, an older one, another loss's).
/// `gradient`: a piece a parameter.
std::string describe_clipping(const std::vector<torch::Tensor>& parameters,
                              const std::vector<torch::Tensor>& gradient);

}  // namespace natgrad::detail
