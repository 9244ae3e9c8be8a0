#pragma once

#include <string>
#include <vector>

#include "detail.h"
#include "graph/census.h"

namespace natgrad::detail {

/// The user's own ops in the loss's graph, by name, that explain why the derivatives by these
/// parameters are wrong and those by all others are right: all wrong ones lie below, and as few
/// right ones as possible. Of several that do so equally well, all. Empty if there is none.
std::string custom_op_above(const Census& loss, const std::vector<torch::Tensor>& parameters,
                            const std::vector<bool>& is_wrong);

/// Whether the loss's graph leads to the parameter.
bool is_reached(const Census& loss, const torch::Tensor& parameter);

}  // namespace natgrad::detail
